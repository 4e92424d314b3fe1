/** Tables of grids against a naive restatement that knows coordinates only. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  axisFrequencies,
  frameSegments,
  inverseOrder,
  longestSegment,
  patchOrder,
  patchPlaces,
  positionWeights,
  rotaryAngles,
  totalPatches,
  windowOrder,
} from "../../plugins/qwen_vl/geometry.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { asGrids, gridSamples } from "./model_kit.ts";

interface Patch {
  readonly image: number;
  readonly frame: number;
  readonly row: number;
  readonly column: number;
}

/** By the keys, one after another. */
const sortedBy = <T>(values: readonly T[], keys: (value: T) => readonly number[]): T[] =>
  [...values].sort((a, b) => {
    const [p, q] = [keys(a), keys(b)];
    const at = p.findIndex((v, i) => v !== q[i]);
    return at < 0 ? 0 : p[at] - q[at];
  });

const frameOf = (p: Patch): readonly number[] => [p.image, p.frame];
const inBlock = (p: Patch, merge: number): readonly number[] => [p.row % merge, p.column % merge];
const blockOf = (p: Patch, size: number): readonly number[] => [Math.floor(p.row / size), Math.floor(p.column / size)];

/** All patches in the order of merge blocks. */
function allPatches(sizes: readonly (readonly number[])[], merge: number): Patch[] {
  const all = sizes.flatMap(([frames, rows, columns], image) =>
    Array.from({ length: frames * rows * columns }, (_, i) => ({
      image,
      frame: Math.floor(i / (rows * columns)),
      row: Math.floor(i / columns) % rows,
      column: i % columns,
    })),
  );
  return sortedBy(all, (p) => [...frameOf(p), ...blockOf(p, merge), ...inBlock(p, merge)]);
}

/** Offsets of runs of patches with equal keys. */
function runs(patches: readonly Patch[], keys: (p: Patch) => readonly number[]): number[] {
  const starts = patches.flatMap((p, i) => (i > 0 && keys(p).join() === keys(patches[i - 1]).join() ? [] : [i]));
  return [...starts, patches.length];
}

const MERGES = [1, 2, 3];

test("qwen_vl geometry: places and segments of patches on many grids", () => {
  for (const merge of MERGES) {
    for (const sizes of gridSamples(merge, 20)) {
      const grids = asGrids(sizes);
      const naive = allPatches(sizes, merge);
      const { rows, columns } = patchPlaces(grids, merge);
      assert.equal(totalPatches(grids), naive.length);
      assert.deepEqual(
        [...rows],
        naive.map((p) => p.row),
      );
      assert.deepEqual(
        [...columns],
        naive.map((p) => p.column),
      );
      assert.deepEqual([...frameSegments(grids)], runs(naive, frameOf));
      assert.equal(longestSegment(frameSegments(grids)), Math.max(...sizes.map(([, h, w]) => h * w)));
    }
  }
});

test("qwen_vl geometry: windows over uneven, even, tiny and very wide frames", () => {
  for (const merge of MERGES) {
    for (const sizes of gridSamples(merge, 20)) {
      for (const side of [1, 2, 4]) {
        const natural = allPatches(sizes, merge);
        const window = (p: Patch): readonly number[] => [...frameOf(p), ...blockOf(p, merge * side)];
        const naive = sortedBy(natural, (p) => [...window(p), ...blockOf(p, merge), ...inBlock(p, merge)]);
        const { order, offsets } = windowOrder(asGrids(sizes), merge, side);
        assert.deepEqual(
          [...patchOrder(order, merge)],
          naive.map((p) => natural.indexOf(p)),
        );
        assert.deepEqual([...offsets.map((n) => n * merge * merge)], runs(naive, window));
        const inverse = inverseOrder(order);
        assert.ok(order.every((unit, i) => inverse[unit] === i));
      }
    }
  }
});

test("qwen_vl geometry: rotary angles follow rows and columns", () => {
  const frequencies = axisFrequencies(3, 10000, false);
  frequencies.forEach((f, i) => {
    assert.ok(Math.abs(f * 10000 ** (i / 3) - 1) < 2e-7, `frequency ${i} is ${f}`);
  });
  for (const sizes of gridSamples(2, 5)) {
    const naive = allPatches(sizes, 2);
    const { cos, sin } = rotaryAngles(patchPlaces(asGrids(sizes), 2), frequencies);
    const angles = naive.flatMap((p) => [p.row, p.column].flatMap((at) => [...frequencies].map((f) => at * f)));
    assert.equal(cos.length, angles.length);
    angles.forEach((angle, i) => {
      assert.ok(Math.abs(cos[i] - Math.cos(angle)) < 4e-6 && Math.abs(sin[i] - Math.sin(angle)) < 4e-6);
    });
  }
  // Seven bits behind the leading one.
  assert.deepEqual([...axisFrequencies(4, 10000, true)], [1, 0.10009765625, 0.010009765625, 0.00099945068359375]);
});

test("qwen_vl geometry: learned positions are bilinear from corner to corner", () => {
  for (const side of [1, 2, 5, 48]) {
    const table = Float64Array.from({ length: side * side }, (_, i) => (hash32(side, i) % 1000) / 1000);
    for (const sizes of gridSamples(2, 5)) {
      const grids = asGrids(sizes);
      const naive = allPatches(sizes, 2);
      const { index, weights } = positionWeights(grids, patchPlaces(grids, 2), side);
      naive.forEach((p, at) => {
        const [, rows, columns] = sizes[p.image];
        const [y, x] = [(p.row * (side - 1)) / (rows - 1), (p.column * (side - 1)) / (columns - 1)];
        let expected = 0;
        for (let i = 0; i < side; i++) {
          for (let j = 0; j < side; j++) {
            expected += table[i * side + j] * Math.max(0, 1 - Math.abs(y - i)) * Math.max(0, 1 - Math.abs(x - j));
          }
        }
        let found = 0;
        for (let corner = 0; corner < 4; corner++) {
          const from = corner * naive.length + at;
          assert.ok(index[from] >= 0 && index[from] < side * side);
          found += weights[from] * table[index[from]];
        }
        assert.ok(Math.abs(found - expected) < 2e-5, `${found}, not ${expected}`);
      });
    }
  }
});

test("qwen_vl geometry: one row or column of patches takes the first position", () => {
  const grids = [{ frames: 1, rows: 1, columns: 3 }];
  const { index, weights } = positionWeights(grids, patchPlaces(grids, 1), 3);
  const at = (column: number): number[] => [0, 1, 2, 3].filter((corner) => weights[corner * 3 + column] > 0);
  for (const column of [0, 1, 2])
    assert.deepEqual(
      at(column).map((corner) => index[corner * 3 + column]),
      [column],
    );
});
