/** `fovea cache` and `fovea build` on the command line. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { createDirectoryStore } from "../../runtime/exec/store/directory_store.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { keepTuning, readTuning } from "../../runtime/session/artifacts/tuning.ts";
import { filesBelow, withFolder } from "../kit/folder.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");

test("cache: list, hits and misses, checks, export, clear, import, collection", () =>
  withFolder(async (folder) => {
    const cache = `${folder}/cache`;
    const run = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
      const { code, stdout, stderr } = await runCli([...args, "--json"], { env: { FOVEA_CACHE_DIR: cache } });
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    const listed = async (): Promise<readonly Record<string, unknown>[]> =>
      (await run("cache", "ls")).entries as readonly Record<string, unknown>[];
    assert.deepEqual(await listed(), []);
    await run("explain", DIGITS, "--component", "text", "--target", "wasm-simd128");
    const all = await listed();
    assert.ok(
      all.length > 4 && all.every((e) => String(e.tag).startsWith("clip/text.") && e.target === "wasm-simd128"),
    );

    const ranges = (await run("cache", "why", DIGITS, "--target", "wasm-simd128")).ranges as readonly {
      tag: string;
      hit: boolean;
    }[];
    for (const { tag, hit } of ranges) assert.equal(hit, tag.startsWith("clip/text."), tag);
    const [first] = (
      await run("cache", "why", DIGITS, "--target", "wasm-simd128", "--component", "text", "--no-compile")
    ).ranges as readonly { nearest: { difference: unknown } }[];
    assert.deepEqual(first.nearest.difference, { path: "enabled", before: "true", after: "false" });

    const checks = (await run("cache", "verify", "--target", "wasm-simd128")).entries as readonly {
      problem: unknown;
      proven: number;
    }[];
    assert.ok(checks.every((c) => c.problem === null && c.proven > 0));

    const exported = await run("cache", "export", `${folder}/pack`);
    assert.equal(exported.entries, all.length);
    await run("cache", "clear");
    assert.deepEqual(await listed(), []);
    assert.equal((await run("cache", "import", `${folder}/pack`)).added, all.length);
    assert.equal((await run("cache", "import", `${folder}/pack`)).added, 0);
    assert.equal((await listed()).length, all.length);
    const bytes = (await run("cache", "ls")).bytes as number;
    const { left, entries } = await run("cache", "gc", "--max-size", String(Math.floor(bytes * 0.8)));
    assert.ok((left as number) <= bytes * 0.8 && (left as number) > 0 && (entries as number) > 0);
    assert.equal((await listed()).length, all.length - (entries as number));
  }));

test("cache: what was measured of devices goes along, and stays what it is where it was measured", () =>
  withFolder(async (folder) => {
    const [here, there, pack] = [`${folder}/here`, `${folder}/there`, `${folder}/pack`];
    const host = await detectHost();
    const store = (cache: string) => createDirectoryStore(host, cache, { strict: true });
    const measured = {
      device: "wasm",
      engine: "V8 1",
      found: "wasm-relaxed",
      target: "wasm-simd128",
      model: "m",
      gain: 2,
    };
    await keepTuning(store(here), measured);
    await keepTuning(store(here), { ...measured, engine: "V8 2" });
    await keepTuning(store(there), { ...measured, engine: "V8 2", target: "wasm-of-its-own" });
    const exported = await runCli(["cache", "export", pack, "--cache", here]);
    assert.match(exported.stdout, /^0 artifacts and 2 tuning records, \S+ \w+ in \S+\/pack\n$/);
    const imported = await runCli(["cache", "import", pack, "--cache", there]);
    assert.equal(imported.stdout, `0 of 0 artifacts and 1 tuning record were new to ${there}\n`, imported.stderr);
    assert.deepEqual(await readTuning(store(there), "wasm", "V8 1"), measured);
    assert.equal((await readTuning(store(there), "wasm", "V8 2"))?.target, "wasm-of-its-own");
    const again = await runCli(["cache", "import", pack, "--cache", there, "--json"]);
    assert.equal(JSON.parse(again.stdout).tuning, 0);
    const manifest = JSON.parse(readFileSync(`${pack}/manifest.json`, "utf8"));
    const digest = Object.values(manifest.tuning)[0];
    for (const tuning of [{ "blobs/x": digest }, { "tuning/../x": digest }, { "tuning/x": 3 }, [digest]]) {
      writeFileSync(`${pack}/manifest.json`, JSON.stringify({ ...manifest, tuning }));
      const { code, stderr } = await runCli(["cache", "import", pack, "--cache", there]);
      assert.equal(code, 2);
      assert.match(stderr, /the `tuning` of its manifest\.json names no digests by a cache's keys/);
    }
  }));

test("a file in the place of the cache is an error of every command that looks into it, an absent folder is none", () =>
  withFolder(async (folder) => {
    const file = `${folder}/cache`;
    writeFileSync(file, "no folder");
    for (const command of [["ls"], ["gc"], ["clear"], ["why", DIGITS], ["verify"], ["export", `${folder}/pack`]]) {
      const { code, stdout, stderr } = await runCli(["cache", ...command, "--cache", file]);
      assert.deepEqual([code, stdout], [2, ""], command[0]);
      assert.match(stderr, /The cache .*\/cache is no folder that can be read: Cannot list .*a folder was expected/);
    }
    assert.equal(readFileSync(file, "utf8"), "no folder");
    const absent = await runCli(["cache", "ls", "--cache", `${folder}/absent`]);
    assert.deepEqual([absent.code, absent.stdout, absent.stderr], [0, `The cache ${folder}/absent is empty.\n`, ""]);
  }));

test("a cache that cannot be changed is an error of commands that change it, which count nothing as done", () =>
  withFolder(async (folder) => {
    const pack = `${folder}/pack`;
    const built = await runCli(["build", DIGITS, "--targets", "wasm-simd128", "--out", pack]);
    assert.equal(built.code, 0, built.stderr);
    // Nobody makes folders below /proc, root neither.
    const { code, stdout, stderr } = await runCli(["cache", "import", pack, "--cache", "/proc/nowhere"]);
    assert.deepEqual([code, stdout], [2, ""], stderr);
    assert.match(stderr, /^fovea: Cannot create \/proc\/nowhere\/\w+: .*\n$/);
  }));

test("cache clear counts its files in words", () =>
  withFolder(async (cache) => {
    mkdirSync(`${cache}/uses`);
    writeFileSync(`${cache}/uses/${"0".repeat(64)}`, "1");
    assert.equal((await runCli(["cache", "clear", "--cache", cache])).stdout, `deleted 1 file of ${cache}\n`);
    assert.equal((await runCli(["cache", "clear", "--cache", cache])).stdout, `deleted 0 files of ${cache}\n`);
  }));

test("cache verify tells a damaged entry, with exit code 1", () =>
  withFolder(async (cache) => {
    const env = { FOVEA_CACHE_DIR: cache };
    await runCli(["explain", DIGITS, "--component", "text"], { env });
    const blob = filesBelow(cache).find(({ name }) => name.startsWith("blobs/"))?.name as string;
    const bytes = readFileSync(`${cache}/${blob}`);
    bytes[bytes.length >> 1] ^= 0x10;
    writeFileSync(`${cache}/${blob}`, bytes);
    const { code, stdout } = await runCli(["cache", "verify"], { env });
    assert.equal(code, 1);
    assert.match(stdout, /^BAD {3}clip\/text\.\w+ .*(artifact|code) [0-9a-f]{64} is missing or damaged/m);
  }));

test("cache verify tells a damaged description, which cache gc drops", () =>
  withFolder(async (cache) => {
    const env = { FOVEA_CACHE_DIR: cache };
    await runCli(["explain", DIGITS, "--component", "text"], { env });
    const described = filesBelow(cache).filter(({ name }) => name.startsWith("descriptions/"));
    const key = described[0].name.slice("descriptions/".length);
    writeFileSync(`${cache}/${described[0].name}`, "{}");
    const { code, stdout } = await runCli(["cache", "verify"], { env });
    assert.equal(code, 1);
    assert.ok(stdout.includes(`BAD   ${key.slice(0, 12)}: its description is damaged`), stdout);
    assert.match(stdout, new RegExp(`^${described.length} entries, 1 bad;`, "m"));
    assert.deepEqual(JSON.parse((await runCli(["cache", "verify", "--json"], { env })).stdout).undescribed, [key]);
    await runCli(["cache", "gc"], { env });
    const after = await runCli(["cache", "verify"], { env });
    assert.deepEqual([after.code, after.stdout.split(" entries")[0]], [0, String(described.length - 1)]);
  }));

test("build: a pack for targets; a run with it compiles nothing", () =>
  withFolder(async (folder) => {
    const built = await runCli(["build", DIGITS, "--targets", "wasm-simd128", "--out", `${folder}/pack`, "--json"]);
    assert.equal(built.code, 0, built.stderr);
    assert.deepEqual((JSON.parse(built.stdout) as { targets: unknown }).targets, ["wasm-simd128"]);
    const [image] = filesBelow(`${DIGITS}/images`).map(({ name }) => `${DIGITS}/images/${name}`);
    const flags = ["--pack", `${folder}/pack`, "--target", "wasm-simd128", "--cache", `${folder}/cache`];
    const { code, stderr } = await runCli(["embed", DIGITS, image, ...flags, "--out", `${folder}/x.json`]);
    assert.equal(code, 0, stderr);
    // Nothing was put into the cache but what the device attested.
    const kinds = new Set(filesBelow(`${folder}/cache`).map(({ name }) => name.split("/")[0]));
    assert.deepEqual([...kinds], ["attestations"]);
    const missing = await runCli(["embed", DIGITS, image, "--pack", `${folder}/none`, "--out", `${folder}/y.json`]);
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /^fovea: There is no pack at .*none: it has no manifest\.json/);
  }));
