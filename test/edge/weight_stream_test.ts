import assert from "node:assert/strict";
import { test } from "node:test";
import type { WeightUse } from "../../runtime/abi/artifact.ts";
import { type FrozenWeight, frozenWeightId } from "../../runtime/edge/frozen.ts";
import { type AssetOpener, frozenWeights } from "../../runtime/edge/weight_stream.ts";
import { checksum, type WeightCache } from "../../runtime/exec/weight_cache.ts";

const SIZES = [5, 64, 1, 130, 33, 7];
const SHARD = 50;

const useOf = (i: number): WeightUse => ({
  key: `recipe ${i}`,
  bytes: SIZES[i],
  sources: [{ name: `tensor ${i}`, shape: [SIZES[i]] }],
});

const contents = SIZES.map((size, i) => Uint8Array.from({ length: size }, (_, at) => (31 * i + 7 * at) & 255));
const whole = Uint8Array.from(contents.flatMap((c) => [...c]));
const shards = Array.from({ length: Math.ceil(whole.length / SHARD) }, (_, i) => ({
  name: `weights-${i}.bin`,
  bytes: Math.min(SHARD, whole.length - i * SHARD),
}));

const weights = SIZES.map((bytes, i): FrozenWeight => {
  const begin = SIZES.slice(0, i).reduce((a, b) => a + b, 0);
  return [frozenWeightId("layer.", useOf(i)), begin, bytes, checksum(contents[i])];
});

/** Pieces of odd sizes, as networks give them. */
function streams(opened: string[], bytes = whole): AssetOpener {
  return async (name) => {
    opened.push(name);
    const at = SHARD * Number(/\d+/.exec(name)?.[0]);
    const shard = bytes.slice(at, at + SHARD);
    return new ReadableStream({
      start(controller) {
        for (let from = 0; from < shard.length; from += 13) controller.enqueue(shard.slice(from, from + 13));
        controller.close();
      },
    });
  };
}

async function read(cache: WeightCache, use: WeightUse): Promise<Uint8Array> {
  const bytes = new Uint8Array(use.bytes);
  assert.equal(await cache.get(use, (piece, offset) => bytes.set(piece, offset)), true);
  return bytes;
}

test("weights in their order are read from each shard once", async () => {
  const opened: string[] = [];
  const cache = frozenWeights({ weights, shards }, streams(opened))("layer.");
  const found = await Promise.all(SIZES.map((_, i) => read(cache, useOf(i))));
  assert.deepEqual(found, contents);
  assert.deepEqual(
    opened,
    shards.map((s) => s.name),
  );
});

test("weights out of order are found, and some may be left out", async () => {
  const cache = frozenWeights({ weights, shards }, streams([]))("layer.");
  for (const i of [3, 5, 0, 4]) assert.deepEqual(await read(cache, useOf(i)), contents[i]);
});

test("shards that are part of the code are arrays", async () => {
  const open: AssetOpener = async (name) => {
    const at = SHARD * Number(/\d+/.exec(name)?.[0]);
    return whole.slice(at, at + SHARD).buffer;
  };
  const cache = frozenWeights({ weights, shards }, open)("layer.");
  for (const i of SIZES.keys()) assert.deepEqual(await read(cache, useOf(i)), contents[i]);
});

test("damaged, short and unknown weights are refused by their tensors' names", async () => {
  const damaged = whole.slice();
  damaged[SIZES[0] + 3] ^= 1;
  const cacheOf = (bytes: Uint8Array<ArrayBuffer>) => frozenWeights({ weights, shards }, streams([], bytes))("layer.");
  await assert.rejects(read(cacheOf(damaged), useOf(1)), {
    code: "damaged_weights",
    message: /what was packed of layer\.tensor 1 has other bytes than were frozen/,
  });
  await assert.rejects(read(cacheOf(whole.subarray(0, 60)), useOf(3)), {
    code: "damaged_weights",
    message: /its weights end too early/,
  });
  await assert.rejects(async () => read(cacheOf(whole), { ...useOf(1), key: "another" }), {
    code: "damaged_weights",
    message: /it has nothing that was packed of layer\.tensor 1/,
  });
  // A failure leaves the next weights readable.
  const cache = cacheOf(damaged);
  await assert.rejects(read(cache, useOf(1)));
  assert.deepEqual(await read(cache, useOf(2)), contents[2]);
});
