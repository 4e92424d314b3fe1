/** Quantised weights are kept between loads, under the files that they come from. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createRuntime, type Tensor } from "../../mod.ts";
import type { WeightUse } from "../../runtime/abi/artifact.ts";
import { clear } from "../../runtime/exec/cache_entries.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import { collectWeights, createWeightCache, keptWeights } from "../../runtime/exec/weight_cache.ts";
import { encodeSafetensors, readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";
import { readCase } from "../kit/tower_fixtures.ts";

const CLIP = repositoryPath("test/fixtures/clip");
const { inputs } = readCase(join(CLIP, "case-image-b1.safetensors"));

const use = (key: string, bytes: number, name = "w"): WeightUse => ({
  ...{ key, bytes, keep: true },
  sources: [{ name, shape: [4] }],
});

test("what is kept comes back whole, by file and recipe; damage and other versions are misses", async () => {
  const store = createMemoryStore();
  let added = 0;
  const cacheOf = (file: string | undefined, day = 1) =>
    createWeightCache(
      store,
      () => file,
      day,
      (bytes) => {
        added += bytes;
      },
    );
  const bytes = Uint8Array.from({ length: 37 }, (_, i) => i * 7);
  const cache = cacheOf("file 1");
  assert.equal(await cache.get(use("a", 37)), undefined);
  await cache.put(use("a", 37), bytes);
  assert.deepEqual(await cache.get(use("a", 37)), bytes);
  assert.equal(added, 41);
  assert.equal(await cache.get(use("b", 37)), undefined);
  assert.equal(await cache.get(use("a", 37, "v")), undefined);
  assert.equal(await cacheOf("file 2").get(use("a", 37)), undefined);
  // Files without an identity are not kept for.
  await cacheOf(undefined).put(use("c", 37), bytes);
  assert.deepEqual(await keptWeights(store), { weights: 1, bytes: 37 });
  for (const at of [0, 20, 36, 38]) {
    await cache.put(use("a", 37), bytes);
    const [key] = (await store.list?.("weights/")) ?? [];
    const damaged = (await store.get(key)) as Uint8Array;
    damaged[at] ^= 16;
    await store.put(key, damaged);
    assert.equal(await cache.get(use("a", 37)), undefined, `byte ${at}`);
    assert.deepEqual(await keptWeights(store), { weights: 0, bytes: 0 });
  }
});

test("a store of one's own may hand out Buffers that lie at any address", async () => {
  const kept = createMemoryStore();
  let shift = 0;
  const get = async (key: string): Promise<Uint8Array | undefined> => {
    const bytes = await kept.get(key);
    if (bytes === undefined) return undefined;
    const pool = Buffer.alloc(bytes.length + shift);
    pool.set(bytes, shift);
    return pool.subarray(shift);
  };
  const cache = createWeightCache({ ...kept, get }, () => "file 1", 1);
  const bytes = Uint8Array.from({ length: 37 }, (_, i) => i * 7);
  await cache.put(use("a", 37), bytes);
  for (shift = 0; shift < 4; shift++) {
    assert.deepEqual(new Uint8Array((await cache.get(use("a", 37))) ?? []), bytes, `shifted by ${shift}`);
  }
});

test("those used longest ago go first", async () => {
  const store = createMemoryStore();
  for (const [day, key] of ["old", "older", "new"].entries()) {
    const order = [2, 1, 3][day];
    await createWeightCache(store, () => "file", order).put(use(key, 100), new Uint8Array(100));
  }
  assert.deepEqual(await collectWeights(store, 250), { weights: 1, bytes: 100 });
  const cache = createWeightCache(store, () => "file", 4);
  assert.equal(await cache.get(use("older", 100)), undefined);
  assert.ok((await cache.get(use("old", 100))) !== undefined && (await cache.get(use("new", 100))) !== undefined);
  assert.deepEqual(await collectWeights(store, 250), { weights: 0, bytes: 0 });
  assert.equal(await clear(store), 4);
});

test("a model's second load takes its codes from the cache, and makes them anew when the file changed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fovea-kept-"));
  const [model, cache] = [join(folder, "clip"), join(folder, "cache")];
  const file = join(model, "model.safetensors");
  cpSync(CLIP, model, { recursive: true });
  const tensors = readAllTensors(new Uint8Array(readFileSync(file)));
  const bytes = encodeSafetensors(tensors);
  const write = (contents: Uint8Array, seconds: number): void => {
    writeFileSync(file, contents);
    utimesSync(file, seconds, seconds);
  };
  write(bytes, 1e9);
  const encode = async (): Promise<Tensor["data"]> => {
    const runtime = await createRuntime({ threads: 0, cache });
    try {
      const encoder = await runtime.load(model, { dtype: "int8", components: ["vision"] });
      const { last_hidden_state } = await encoder.encode(inputs, { outputs: ["last_hidden_state"] });
      return (last_hidden_state as Tensor).data.slice();
    } finally {
      await runtime.close();
    }
  };
  const kept = (): readonly string[] => readdirSync(join(cache, "weights")).sort();
  try {
    const first = await encode();
    const names = kept();
    // Four products in each of two layers.
    assert.equal(names.length, 8);
    const doubled = Object.entries(tensors).map(([name, t]) => {
      const large = /vision_model.*(fc\d|proj)\.weight/.test(name);
      return [name, large ? { ...t, data: (t.data as Float32Array).map((v) => 2 * v) } : t] as const;
    });
    // The same file by size and time: what is kept is taken, whatever it holds now.
    write(encodeSafetensors(Object.fromEntries(doubled)), 1e9);
    assert.equal(statSync(file).size, bytes.length);
    assert.deepEqual(await encode(), first);
    // Another time: made anew.
    utimesSync(file, 1.1e9, 1.1e9);
    assert.notDeepEqual(await encode(), first);
    assert.equal(kept().length, 16);
    write(bytes, 1.2e9);
    assert.deepEqual(await encode(), first);
    const listed = await runCli(["cache", "ls", "--cache", cache]);
    assert.match(listed.stdout, /\n\d+ packed weights, [\d.]+ [KM]iB\n/);
    const collected = await runCli(["cache", "gc", "--cache", cache, "--max-size", "20k"]);
    assert.match(collected.stdout, /^dropped \d+ packed weights, [\d.]+ [KM]iB\n/);
    assert.ok(kept().length > 0 && kept().length < 16);
    const cleared = await runCli(["cache", "clear", "--cache", cache]);
    assert.equal(cleared.code, 0, cleared.stderr);
    assert.equal(kept().length, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
