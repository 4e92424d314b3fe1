import assert from "node:assert/strict";
import { test } from "node:test";
import { fillNormal, hash32, normal, uniform } from "../../runtime/core/random.ts";

test("random: the same bits on every engine", () => {
  // Computed by another implementation of the generator.
  const cases: readonly (readonly [number, number, number, number])[] = [
    [0, 0, 1439679120, 0.5565154092288777],
    [1, 2, 3401709653, 1.8431847440295936],
    [2 ** 40 + 5, 7, 2076753913, 1.0089005666478212],
    [3, 2 ** 32 + 1, 306887172, 0.13640005827184487],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 483909315, 0.8217039743712321],
  ];
  for (const [seed, index, hash, value] of cases) {
    assert.equal(hash32(seed, index), hash);
    assert.equal(uniform(seed, index), (hash + 0.5) / 2 ** 32);
    assert.equal(normal(seed, index), value);
  }
});

test("random: filling in slices, at any offset, equals single values", () => {
  for (const offset of [0, 12345, 2 ** 32 - 50, 3 * 2 ** 32 - 1]) {
    const whole = new Float32Array(100);
    fillNormal(whole, 42, offset, 0.5);
    for (let i = 0; i < whole.length; i++) assert.equal(whole[i], Math.fround(normal(42, offset + i) * 0.5));
    const parts = new Float32Array(100);
    for (const [from, to] of [
      [60, 100],
      [0, 7],
      [7, 60],
    ])
      fillNormal(parts.subarray(from, to), 42, offset + from, 0.5);
    assert.deepEqual(parts, whole);
  }
});

/** Mean of `f` over a sample. */
const mean = (values: Float32Array, f: (v: number) => number): number =>
  values.reduce((s, v) => s + f(v), 0) / values.length;

test("random: normals have mean 0, variance 1, no skew, and seeds and neighbours do not correlate", () => {
  const count = 200_000;
  const a = new Float32Array(count);
  fillNormal(a, 5, 0, 1);
  assert.ok(Math.abs(mean(a, (v) => v)) < 0.01);
  assert.ok(Math.abs(mean(a, (v) => v * v) - 1) < 0.015);
  assert.ok(Math.abs(mean(a, (v) => v ** 3)) < 0.03);
  assert.ok(Math.abs(mean(a, (v) => v ** 4) - 2.7) < 0.05);
  assert.ok(a.every((v) => Math.abs(v) < 3.47));
  const correlation = (b: Float32Array, shift: number): number => {
    let sum = 0;
    for (let i = shift; i < count; i++) sum += a[i - shift] * b[i];
    return sum / (count - shift);
  };
  assert.ok(Math.abs(correlation(a, 1)) < 0.01);
  assert.ok(Math.abs(correlation(a, 64)) < 0.01);
  for (const seed of [4, 6, 5 + 2 ** 32]) {
    const b = new Float32Array(count);
    fillNormal(b, seed, 0, 1);
    assert.ok(Math.abs(correlation(b, 0)) < 0.01, `seed ${seed}`);
  }
});

test("random: uniforms fill (0, 1) evenly", () => {
  const bins = new Array<number>(16).fill(0);
  for (let i = 0; i < 160_000; i++) {
    const u = uniform(11, i);
    assert.ok(u > 0 && u < 1);
    bins[Math.floor(u * 16)]++;
  }
  for (const n of bins) assert.ok(Math.abs(n - 10_000) < 500, bins.join());
});
