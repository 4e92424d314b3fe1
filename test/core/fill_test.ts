import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluate, symbol } from "../../runtime/core/dim.ts";
import { fillBuffer, fillReader, nameSeed } from "../../runtime/core/fill.ts";
import { fillHash, hash32, hashStream, uniform } from "../../runtime/core/random.ts";
import { broadcastStrides, denseStrides } from "../../runtime/core/strides.ts";

const first = (read: (i: number) => number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => read(i));

test("fills: a stream is the hash of one seed", () => {
  for (const seed of [0, 1, 77, 2 ** 40 + 3]) {
    const stream = hashStream(seed);
    for (const index of [0, 1, 2, 1000, 2 ** 31, 2 ** 32 - 1]) assert.equal(stream(index), hash32(seed, index));
    const numbers = new Uint32Array(100);
    fillHash(numbers, seed);
    assert.deepEqual([...numbers], first(stream, 100));
  }
});

test("fills: a run at any step and elements at any places are what single reads find", () => {
  const fills = [
    { kind: "uniform", seed: 4, scale: 1 },
    { kind: "index", seed: 5, below: 40 },
    { kind: "bytes", seed: 6 },
    { kind: "mask", seed: 7, row: 9 },
    { kind: "offsets", count: 50, total: 400 },
  ] as const;
  for (const fill of fills) {
    const read = fillReader(fill);
    // 1021 is the period of drawn contents.
    for (const [start, step, count] of [
      [0, 1, 30],
      [1020, 1, 3000],
      [5, 768, 400],
      [2000, 1021, 7],
      [3, 1020, 50],
      [11, 2 * 1021 + 1, 40],
      [900, 1, 20_000],
      [0, 0, 3],
      [8, 3, 0],
    ]) {
      const places = Array.from({ length: count }, (_, i) => start + i * step);
      const expected = places.map((place) => read(place));
      assert.deepEqual([...read.run(start, step, count)], expected, `${fill.kind} ${start} ${step}`);
      assert.deepEqual([...read.many(places)], expected);
      const runs = read.runs?.(start, 37, 3, step, count).map((run) => [...run]);
      const apart = [0, 37, 74].map((more) => places.map((place) => read(place + more)));
      if (fill.kind !== "mask" && fill.kind !== "offsets") assert.deepEqual(runs, apart);
    }
  }
});

test("fills: uniform values are f32 between the scales and spread over them", () => {
  for (const scale of [1, 2 ** -8, 2 ** -20]) {
    const values = first(fillReader({ kind: "uniform", seed: 9, scale }), 2000);
    assert.ok(values.every((v) => v === Math.fround(v) && Math.abs(v) <= scale));
    const square = values.reduce((sum, v) => sum + (v / scale) ** 2, 0) / values.length;
    assert.ok(Math.abs(square - 1 / 3) < 0.02, `${square}`);
  }
  const [plain, small] = [1, 2 ** -8].map((scale) => first(fillReader({ kind: "uniform", seed: 5, scale }), 50));
  plain.forEach((v, i) => {
    assert.equal(v, Math.fround(2 * uniform(5, i) - 1));
    assert.ok(Math.abs(small[i] - v / 256) < 2 ** -32);
  });
});

test("fills: indices, masks and offsets are what kernels may be given", () => {
  const indices = first(fillReader({ kind: "index", seed: 3, below: 7 }), 500);
  assert.deepEqual([...new Set(indices)].sort(), [0, 1, 2, 3, 4, 5, 6]);
  const bytes = first(fillReader({ kind: "bytes", seed: 3 }), 1000);
  assert.ok(bytes.every((v) => Number.isInteger(v) && v >= 0 && v < 256) && new Set(bytes).size > 200);
  assert.deepEqual(Array.from(fillBuffer({ kind: "bytes", seed: 3 }, 1000)), bytes);
  const mask = first(fillReader({ kind: "mask", seed: 3, row: 10 }), 4000);
  const hidden = mask.filter((v) => v === 0).length / mask.length;
  assert.ok(mask.every((v) => v === 0 || v === 1) && hidden > 0.2 && hidden < 0.25, `${hidden}`);
  assert.ok(mask.every((v, i) => i % 10 !== 0 || v === 1));
  assert.deepEqual(first(fillReader({ kind: "offsets", count: 4, total: 10 }), 4), [0, 3, 6, 10]);
  assert.deepEqual(first(fillReader({ kind: "offsets", count: 1, total: 10 }), 1), [0]);
});

test("fills: tensors have the seed of their name", () => {
  // FNV-1a's own test values.
  assert.equal(nameSeed(""), 0x811c9dc5);
  assert.equal(nameSeed("a"), 0xe40c292c);
  assert.equal(nameSeed("foobar"), 0xbf9cf968);
});

test("strides: dense and broadcast, symbols included", () => {
  const [batch, tokens] = [symbol("batch"), symbol("tokens")];
  const at = { batch: 3, tokens: 5 };
  const numbers = (strides: readonly Parameters<typeof evaluate>[0][]): number[] => strides.map((s) => evaluate(s, at));
  const shape = [batch, tokens, 8];
  assert.deepEqual(numbers(denseStrides(shape)), [40, 8, 1]);
  assert.deepEqual(denseStrides([]), []);
  assert.deepEqual(numbers(broadcastStrides([tokens, 1], [9, 4], shape)), [0, 9, 0]);
  assert.deepEqual(numbers(broadcastStrides([8], [1], shape)), [0, 0, 1]);
  assert.deepEqual(numbers(broadcastStrides([], [], shape)), [0, 0, 0]);
  assert.deepEqual(numbers(broadcastStrides([1, 2], [7, 1], [1, 2])), [7, 1]);
});
