/** `fovea embed … --out x.parquet` and `fovea search` on the bundled digits. */
import assert from "node:assert/strict";
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { embedFiles, readVectors, searchVectors } from "../../runtime/bulk/mod.ts";
import { withFolder } from "../kit/folder.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { writePictures } from "../queue/pictures.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const IMAGES = join(DIGITS, "images");
const INLINE = ["--threads", "0"];

/** Pictures of the run that is killed, and rows of its shards. */
const [ITEMS, ROWS] = [200, 20];

test("pictures are embedded as `encode` does, found again by words and by a picture", async () => {
  await withFolder(async (folder) => {
    await using runtime = await openRuntime({ threads: 0 });
    const out = join(folder, "digits.parquet");
    const steps: number[] = [];
    const onProgress = ({ done, total }: { done: number; total: number }) => void steps.push(done / total);
    const report = await embedFiles(runtime, DIGITS, [`${IMAGES}/*`], { out, onProgress });
    assert.equal(report.encoded, 100);
    assert.deepEqual(report.written, [out]);
    assert.equal(steps[steps.length - 1], 1);
    const table = await readVectors(out);
    assert.deepEqual(
      table.rows.map(({ path }) => path),
      readdirSync(IMAGES)
        .sort()
        .map((name) => join(IMAGES, name)),
    );
    await using encoder = await runtime.load(DIGITS, { components: ["vision"] });
    const { image_embeds } = await encoder.encode({ images: table.rows.map(({ path }) => path) });
    assert.deepEqual(table.vectors, image_embeds?.data);
    for (const [word, digit] of [
      ["zero", 0],
      ["seven", 7],
    ] as const) {
      const { hits, rows } = await searchVectors(runtime, [out], { text: word }, { top: 5 });
      assert.equal(rows, 100);
      for (const { path } of hits) assert.ok(path.endsWith(`-${digit}.png`), `${path} for ${word}`);
      assert.deepEqual(
        hits.map(({ score }) => score),
        hits.map(({ score }) => score).sort((a, b) => b - a),
      );
    }
    const { hits } = await searchVectors(runtime, [folder], { image: table.rows[7].path }, { top: 1 });
    assert.equal(hits[0].path, table.rows[7].path);
    assert.ok(Math.abs(hits[0].score - 1) < 1e-6);
  });
});

test("what cannot be read is listed and ends with 1; --resume encodes what is new or changed, by content", async () => {
  await withFolder(async (folder) => {
    const photos = join(folder, "photos");
    mkdirSync(photos);
    const [one, two, three] = readdirSync(IMAGES).sort();
    copyFileSync(join(IMAGES, one), join(photos, "a.png"));
    copyFileSync(join(IMAGES, one), join(photos, "b.png"));
    writeFileSync(join(photos, "bad.png"), "no picture");
    const out = join(folder, "x.parquet");
    const run = async (...more: string[]) => {
      const result = await runCli(["embed", ...more, join(photos, "**"), "--out", out, ...INLINE, "--json"]);
      const { encoded, skipped, failures, written } = JSON.parse(result.stdout);
      return { code: result.code, encoded, skipped, failed: failures.length, written: written.length };
    };
    assert.deepEqual(await run(DIGITS), { code: 1, encoded: 2, skipped: 0, failed: 1, written: 1 });
    const before = statSync(out).mtimeMs;
    // The file names the model.
    assert.deepEqual(await run("--resume"), { code: 1, encoded: 0, skipped: 2, failed: 1, written: 0 });
    assert.equal(statSync(out).mtimeMs, before);
    copyFileSync(join(IMAGES, two), join(photos, "bad.png"));
    copyFileSync(join(IMAGES, three), join(photos, "b.png"));
    assert.deepEqual(await run("--resume"), { code: 0, encoded: 2, skipped: 1, failed: 0, written: 1 });
    const { rows } = await readVectors(out);
    assert.deepEqual(
      rows.map(({ path }) => path.slice(photos.length + 1)),
      ["a.png", "b.png", "bad.png"],
    );
    assert.equal(new Set(rows.map(({ digest }) => digest)).size, 3);
    const { code, stderr } = await runCli([
      "embed",
      DIGITS,
      join(photos, "gone.png"),
      "--out",
      out,
      "--resume",
      ...INLINE,
    ]);
    assert.equal(code, 1);
    assert.match(stderr, /gone\.png: it does not exist/);
    assert.match(stderr, /x\.parquet stays as it is: 0 of 1 file encoded, 0 were there, 1 could not be read/);
  });
});

test("a run that is killed goes on with --resume and encodes nothing twice", {
  skip: "Bun" in globalThis ? false : "starts a process to kill; journals of all runtimes are cut in journal_test.ts",
}, async () => {
  await withFolder(async (folder) => {
    const photos = join(folder, "photos");
    writePictures(photos, ITEMS);
    const out = join(folder, "x.safetensors");
    const args = ["embed", DIGITS, photos, "--out", out, ...INLINE, "--shard-rows", `${ROWS}`];
    const kill = new AbortController();
    const running = runCli(args, { ownProcess: true, kill: kill.signal });
    while (!existsSync(join(folder, "x-00001.safetensors"))) await new Promise((resolve) => setTimeout(resolve, 2));
    kill.abort();
    assert.equal((await running).code, 137);
    const shards = readdirSync(folder).filter((name) => name.endsWith(".safetensors")).length;
    const refused = await runCli(args);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /x-00000\.safetensors is there already; add --resume/);
    const { code, stdout } = await runCli([...args, "--resume", "--json"]);
    const { encoded, skipped } = JSON.parse(stdout);
    assert.equal(code, 0);
    assert.equal(encoded + skipped, ITEMS);
    assert.ok(shards >= 2 && skipped >= ROWS * shards && encoded > 0, `${skipped} skipped of ${shards} shards`);
    const files = readdirSync(folder).filter((name) => name.startsWith("x-"));
    const tables = await Promise.all(files.map((name) => readVectors(join(folder, name))));
    assert.ok(tables.every(({ rows }) => rows.length <= ROWS));
    assert.equal(new Set(tables.flatMap(({ rows }) => rows.map(({ path }) => path))).size, ITEMS);
    assert.equal(
      tables.reduce((sum, { rows }) => sum + rows.length, 0),
      ITEMS,
    );
  });
});

test("an interrupt keeps what was encoded, says how to go on, and ends as shells expect", {
  skip: "Bun" in globalThis ? false : "starts a process to interrupt; serve_test.ts interrupts one on all runtimes",
}, async () => {
  await withFolder(async (folder) => {
    const photos = join(folder, "photos");
    writePictures(photos, ITEMS);
    const args = ["embed", DIGITS, photos, "--out", join(folder, "x.npy"), ...INLINE, "--shard-rows", `${ROWS}`];
    const interrupt = new AbortController();
    const running = runCli(args, { ownProcess: true, interrupt: interrupt.signal });
    while (!existsSync(join(folder, "x-00000.npy"))) await new Promise((resolve) => setTimeout(resolve, 2));
    interrupt.abort();
    const { code, stdout, stderr } = await running;
    assert.deepEqual([code, stdout], [130, ""]);
    assert.equal(
      stderr,
      "fovea: SIGINT: stopped; what was encoded is kept, and the same command with --resume goes on\n",
    );
    const { encoded, skipped } = JSON.parse((await runCli([...args, "--resume", "--json"])).stdout);
    assert.equal(encoded + skipped, ITEMS);
    assert.ok(skipped >= ROWS && encoded > 0, `${skipped} skipped`);
  });
});

test("vectors of other models, results and shapes are refused with a sentence", async () => {
  await withFolder(async (folder) => {
    const picture = join(IMAGES, readdirSync(IMAGES)[0]);
    const out = join(folder, "x.parquet");
    const fails = async (args: readonly string[], words: RegExp) => {
      const { code, stdout, stderr } = await runCli([...args, ...INLINE]);
      assert.equal(code, 2, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, words);
    };
    const embed = ["embed", DIGITS, picture, "--out", out];
    assert.equal((await runCli([...embed, ...INLINE])).code, 0);
    await fails(
      [...embed, "--resume", "--outputs", "pooler_output"],
      /x\.parquet holds image_embeds of .*, and these would be pooler_output/,
    );
    await fails(
      [...embed, "--resume", "--dtype", "int8"],
      /x\.parquet holds vectors of weights in f32, .* of int8; leave/,
    );
    const whole = join(folder, "whole.parquet");
    assert.equal((await runCli(["embed", DIGITS, picture, "--out", whole, "--dtype", "int8", ...INLINE])).code, 0);
    const more = join(IMAGES, readdirSync(IMAGES)[1]);
    const goneOn = await runCli(["embed", DIGITS, picture, more, "--out", whole, "--resume", ...INLINE, "--json"]);
    const report = JSON.parse(goneOn.stdout);
    assert.deepEqual([report.head.dtype, report.encoded, report.skipped], ["int8", 1, 1]);
    mkdirSync(join(folder, "d.parquet"));
    await fails(
      ["embed", DIGITS, picture, "--out", join(folder, "d.parquet")],
      /d\.parquet cannot be written: it is a folder/,
    );
    mkdirSync(join(folder, "d.json"));
    await fails(
      ["embed", DIGITS, picture, "--out", join(folder, "d.json")],
      /d\.json cannot be written: it is a folder/,
    );
    const bad = join(folder, "bad.png");
    writeFileSync(bad, "no picture");
    const nothing = await runCli(["embed", DIGITS, bad, "--out", join(folder, "n.parquet"), ...INLINE]);
    assert.deepEqual([nothing.code, /nothing was written: 0 of 1 file encoded/.test(nothing.stderr)], [1, true]);
    await fails([...embed, "--outputs", "no_such"], /has no result "no_such"; it gives .*image_embeds/);
    await fails([...embed, "--outputs", "pooler_output,image_embeds"], /A row holds one vector; name one result/);
    await fails([...embed, "--text", "a cat"], /--text does not go with a row for each file/);
    await fails(
      ["embed", DIGITS, picture, "sound.wav", "--out", out],
      /pictures and recordings do not go into one file/,
    );
    await fails(["embed", DIGITS, "--out", out], /No file is named beside the model; add files/);
    await fails(["embed", "./nowhere", picture, "--out", out], /There is no model folder \.\/nowhere/);
    await fails(["embed", DIGITS, picture, "--resume"], /--resume and --shard-rows go with --out/);
    await fails(["embed", DIGITS, picture, "--resume", "--out", join(folder, "no", "x.npy")], /there is no folder/);
    await fails(
      ["embed", DIGITS, picture, "--resume", "--out", "x.json"],
      /x\.json has no known format; files of vectors end in/,
    );
    await fails(["search", out], /Name one thing to look for/);
    await fails(["search", out, "two", "--image", picture], /Name one thing to look for/);
    const vit = repositoryPath("test/fixtures/vit");
    await fails(["search", out, "two", "--model", vit], /it has no text tower\. Search with a picture/);
    await fails(
      ["search", out, "--image", picture, "--model", vit],
      /x\.parquet holds image_embeds of .*clip.* would be .*vit.*; name the model that made the vectors, or none, which takes/,
    );
    const moved = join(folder, "moved");
    cpSync(DIGITS, moved, { recursive: true });
    const apart = join(folder, "apart.parquet");
    assert.equal(
      (await runCli(["embed", moved, picture, "--out", apart, ...INLINE, "--device", "wasm, reference"])).code,
      0,
    );
    renameSync(moved, join(folder, "elsewhere"));
    const gone =
      /no model folder .*moved\. Check the path\. .*apart\.parquet says that its vectors are of that model; .*\(--model\)/;
    await fails(["search", apart, "two"], gone);
    await fails(["search", apart, "--image", picture], gone);
    const pooled = join(folder, "pooled.npy");
    assert.equal(
      (await runCli(["embed", DIGITS, picture, "--out", pooled, "--resume", "--outputs", "pooler_output", ...INLINE]))
        .code,
      0,
    );
    await fails(["search", pooled, "two"], /"pooler_output" lies in another space than its texts/);
    const { stderr } = await runCli([
      "embed",
      DIGITS,
      picture,
      "--out",
      join(folder, "y.parquet"),
      "--outputs",
      "last_hidden_state",
      ...INLINE,
    ]);
    assert.match(
      stderr,
      /"last_hidden_state" of .* is \[1, \d+, \d+\], and files of vectors hold one row .*\(`output`; --outputs of `fovea embed`, --output of/,
    );
  });
});
