/** Every command on the bundled model, as a user types it. */
import assert from "node:assert/strict";
import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const picture = (name: string): string => join(DIGITS, "images", name);

async function inTemporaryFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "fovea-commands-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("verify passes on the digits model and prints its margin as JSON", async () => {
  const { code, stdout, stderr } = await runCli(["verify", DIGITS, "--json"]);
  assert.equal(code, 0, stderr);
  const result = JSON.parse(stdout);
  assert.equal(result.runtime, (await detectHost()).name);
  assert.deepEqual([result.passed, result.failed], [2, 0]);
  for (const { outputs } of result.cases) {
    for (const o of Object.values(outputs) as { maxRel: number; tolerance: number; pass: boolean; cosine: number }[]) {
      assert.ok(o.pass && o.maxRel <= o.tolerance && o.cosine > 0.9999, JSON.stringify(o));
    }
  }
});

test("verify ends with 1 when a result is too far off", async () => {
  const { code, stdout } = await runCli(["verify", DIGITS, "--json", "--tolerance", "1e-12"]);
  assert.equal(code, 1);
  assert.ok(JSON.parse(stdout).failed > 0);
});

test("verify passes at its own tolerance where weights are kept as the checkpoint has them, and says so", async () => {
  const folder = repositoryPath("test/fixtures/siglip");
  const verify = async (...args: readonly string[]) => {
    const { code, stdout } = await runCli(["verify", folder, "--component", "text", "--json", ...args]);
    return { code, result: JSON.parse(stdout) };
  };
  const kept = await verify("--dtype", "bf16");
  assert.deepEqual([kept.code, kept.result.dtype, kept.result.failed], [0, "bf16", 0]);
  // The checkpoint holds bf16, of which f16 loses the smallest numbers.
  const rounded = await verify("--dtype", "f16", "--tolerance", "0");
  assert.deepEqual([rounded.code, rounded.result.dtype], [1, "f16"]);
});

test("embed writes safetensors, json and npy with the same numbers", () =>
  inTemporaryFolder(async (folder) => {
    const files = [picture("000-2.png"), picture("017-0.png")];
    for (const name of ["x.safetensors", "x.json", "x.npy"]) {
      const { code, stdout, stderr } = await runCli(["embed", DIGITS, ...files, "--out", join(folder, name)]);
      assert.equal(code, 0, stderr);
      assert.equal(stdout, "");
    }
    const { image_embeds } = readAllTensors(await readFile(join(folder, "x.safetensors")));
    const json = JSON.parse(await readFile(join(folder, "x.json"), "utf8"));
    const npy = await readFile(join(folder, "x.npy"));
    assert.deepEqual(image_embeds.shape, [2, 64]);
    assert.deepEqual(json.image_embeds.flat().map(Math.fround), [...image_embeds.data]);
    const body = npy.subarray(10 + npy.readUInt16LE(8));
    assert.deepEqual([...new Float32Array(Uint8Array.from(body).buffer)], [...image_embeds.data]);
  }));

test("embed prints one JSON document for pictures and texts", async () => {
  const { code, stdout, stderr } = await runCli([
    "embed",
    DIGITS,
    picture("000-2.png"),
    "--text",
    "a photo of the digit two",
    "--json",
  ]);
  assert.equal(code, 0, stderr);
  const result = JSON.parse(stdout);
  assert.equal(result.image_embeds.length, 1);
  assert.equal(result.text_embeds.length, 1);
});

test("embed prints one line for packed pictures of many sizes", () =>
  inTemporaryFolder(async (folder) => {
    const fixtures = repositoryPath("test/fixtures");
    for (const file of ["config.json", "model.safetensors"])
      await copyFile(join(fixtures, "qwen2_vl", file), join(folder, file));
    await copyFile(
      join(fixtures, "preprocess/qwen2_vl-small/preprocessor_config.json"),
      join(folder, "preprocessor_config.json"),
    );
    const pictures = ["gray.png", "astronaut.png"].map((f) => join(fixtures, "preprocess", f));
    const { code, stdout, stderr } = await runCli(["embed", folder, ...pictures]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^all 2 inputs +pooler_output +\d+x48 /m);
    const alone = await runCli(["embed", folder, pictures[0]]);
    assert.match(alone.stdout, /gray\.png +pooler_output +\d+x48 /m);
  }));

test("classify finds the digit", async () => {
  const labels = "zero,one,two,three,four,five,six,seven,eight,nine";
  const args = [
    "classify",
    DIGITS,
    picture("000-2.png"),
    picture("017-0.png"),
    "--labels",
    labels,
    "--template",
    "a photo of the digit {}",
  ];
  const { code, stdout, stderr } = await runCli([...args, "--json"]);
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    JSON.parse(stdout).results.map((r: { label: string }) => r.label),
    ["two", "zero"],
  );
  const table = await runCli(args);
  assert.match(table.stdout, /image +label +probability/);
});

test("bench says which calls ran on which device", async () => {
  const where = '{"components":{"clip/text.pool":{"device":"reference"}}}';
  const args = ["bench", DIGITS, "--component", "text", "--runs", "1", "--threads", "0", "--compile-config", where];
  const text = await runCli(args);
  assert.equal(text.code, 0, text.stderr);
  assert.match(
    text.stdout,
    /\ndevices +calls in turn: \d+ on wasm, 1 on reference, 1 on wasm; .* carried between them\n/,
  );
});

test("bench measures, and compiles nothing when all is cached", () =>
  inTemporaryFolder(async (folder) => {
    const args = ["bench", DIGITS, "--component", "text", "--runs", "3", "--threads", "0", "--cache", folder, "--json"];
    const first = JSON.parse((await runCli(args)).stdout);
    assert.ok(first.compileMs > 0);
    assert.equal(first.cacheHits, 0);
    assert.ok(first.ms.median > 0 && first.gflops > 0 && first.peakBytes > 0);
    const second = JSON.parse((await runCli(args)).stdout);
    assert.equal(second.compileMs, 0);
    assert.ok(second.cacheHits > 0);
    assert.deepEqual([second.component, second.batch, second.threads, second.dtype], ["text", 1, 0, "f32"]);
    const half = JSON.parse((await runCli([...args, "--dtype", "f16"])).stdout);
    assert.ok(half.compileMs > 0 && half.weightBytes < 0.6 * first.weightBytes, JSON.stringify(half));
    assert.equal(half.dtype, "f16");
  }));

test("doctor lists the devices", async () => {
  const { code, stdout } = await runCli(["doctor", "--json"]);
  assert.equal(code, 0);
  const result = JSON.parse(stdout);
  assert.equal(result.runtime, (await detectHost()).name);
  assert.deepEqual(
    result.devices.map((d: { kind: string }) => d.kind),
    ["wasm", "webgpu", "reference"],
  );
});
