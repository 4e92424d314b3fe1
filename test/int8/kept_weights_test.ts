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
import { createDirectoryStore } from "../../runtime/exec/store/directory_store.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import type { Store } from "../../runtime/exec/store/store.ts";
import { collectWeights, createWeightCache, keptWeights, type WeightCache } from "../../runtime/exec/weight_cache.ts";
import { encodeSafetensors, readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { repositoryPath, runCli } from "../kit/run_cli.ts";
import { readCase } from "../kit/tower_fixtures.ts";

const CLIP = repositoryPath("test/fixtures/clip");
const { inputs } = readCase(join(CLIP, "case-image-b1.safetensors"));

const use = (key: string, bytes: number, name = "w"): WeightUse => ({
  ...{ key, bytes, keep: true },
  sources: [{ name, shape: [4] }],
});

/** What a cache keeps of a weight; nothing for a miss. */
async function read(cache: WeightCache, weight: WeightUse): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(weight.bytes);
  const whole = await cache.get(weight, (piece, offset) => bytes.set(piece, offset));
  return whole ? bytes : undefined;
}

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
  assert.equal(await read(cache, use("a", 37)), undefined);
  await cache.put(use("a", 37), bytes);
  assert.deepEqual(await read(cache, use("a", 37)), bytes);
  assert.equal(added, 41);
  assert.equal(await read(cache, use("b", 37)), undefined);
  assert.equal(await read(cache, use("a", 37, "v")), undefined);
  assert.equal(await read(cacheOf("file 2"), use("a", 37)), undefined);
  // Files without an identity are not kept for.
  await cacheOf(undefined).put(use("c", 37), bytes);
  assert.deepEqual(await keptWeights(store), { weights: 1, bytes: 37 });
  for (const at of [0, 20, 36, 38]) {
    await cache.put(use("a", 37), bytes);
    const [key] = (await store.list?.("weights/")) ?? [];
    const damaged = (await store.get(key)) as Uint8Array;
    damaged[at] ^= 16;
    await store.put(key, damaged);
    assert.equal(await read(cache, use("a", 37)), undefined, `byte ${at}`);
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
    assert.deepEqual(new Uint8Array((await read(cache, use("a", 37))) ?? []), bytes, `shifted by ${shift}`);
  }
});

test("a large weight passes through one small array, which all weights share, and its day is noted once", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fovea-kept-"));
  const longest = { read: 0, held: 0 };
  const arrays = new Set<ArrayBufferLike>();
  const writes: string[] = [];
  try {
    const store = createDirectoryStore(await detectHost(), folder);
    const watched: Store = {
      ...store,
      get: (key) => {
        assert.ok(!key.startsWith("weights/"), "a weight was read as a whole");
        return store.get(key);
      },
      put: (key, bytes) => {
        writes.push(key);
        return store.put(key, bytes);
      },
      open: async (key) => {
        const value = await store.open?.(key);
        return (
          value && {
            ...value,
            read: (into, position) => {
              arrays.add(into.buffer);
              longest.read = Math.max(longest.read, into.length);
              longest.held = Math.max(longest.held, into.buffer.byteLength);
              return value.read(into, position);
            },
          }
        );
      },
    };
    const large = Uint8Array.from({ length: 5_000_003 }, (_, i) => i * 31 + (i >> 9));
    const buffers: Uint8Array[] = [];
    const cacheOf = (day: number) => createWeightCache(watched, () => "file", day, undefined, buffers);
    await cacheOf(1).put(use("a", large.length), large);
    await cacheOf(1).put(
      use("b", large.length),
      large.map((v) => v ^ 5),
    );
    assert.deepEqual(await read(cacheOf(1), use("a", large.length)), large);
    assert.deepEqual(
      await read(cacheOf(1), use("b", large.length)),
      large.map((v) => v ^ 5),
    );
    assert.ok(longest.read <= 1 << 20 && longest.held <= 1 << 20, JSON.stringify(longest));
    assert.equal(arrays.size, 1);
    assert.equal(writes.length, 4);
    await read(cacheOf(2), use("a", large.length));
    await read(cacheOf(2), use("a", large.length));
    assert.equal(writes.length, 5);
    // Bytes that change in the last piece are found when the others were handed over already.
    const [path] = readdirSync(join(folder, "weights")).sort();
    const file = join(folder, "weights", path);
    const damaged = readFileSync(file);
    damaged[5_000_001] ^= 1;
    writeFileSync(file, damaged);
    const found = [use("a", large.length), use("b", large.length)].map((weight) => read(cacheOf(2), weight));
    assert.equal((await Promise.all(found)).filter((bytes) => bytes === undefined).length, 1);
    assert.equal(readdirSync(join(folder, "weights")).length, 1);
    // A file that was cut off.
    const [other] = readdirSync(join(folder, "weights"));
    writeFileSync(join(folder, "weights", other), large.subarray(0, 3_000_000));
    for (const key of ["a", "b"]) assert.equal(await read(cacheOf(2), use(key, large.length)), undefined);
    assert.equal(readdirSync(join(folder, "weights")).length, 0);
  } finally {
    rmSync(folder, { recursive: true });
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
  assert.equal(await read(cache, use("older", 100)), undefined);
  assert.ok((await read(cache, use("old", 100))) !== undefined && (await read(cache, use("new", 100))) !== undefined);
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
