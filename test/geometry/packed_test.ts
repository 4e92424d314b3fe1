/** Packed families: tables of a request against loops over images, frames, rows and columns. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Tensor } from "../../runtime/abi/encoder.ts";
import { FAMILIES, smallConfig } from "../qwen_vl/model_kit.ts";
import { fixtureTower, grid, holds, i32, planned, side, towerOfConfig, zeros } from "./kit.ts";

const close = (found: ArrayLike<number>, expected: readonly number[], limit: number): void => {
  assert.equal(found.length, expected.length);
  expected.forEach((v, i) => {
    assert.ok(Math.abs(found[i] - v) <= limit, `element ${i}: ${found[i]} instead of ${v}`);
  });
};

/** Frames, rows and columns in merge blocks of 2x2 patches. */
const video = fc.tuple(fc.integer({ min: 1, max: 3 }), side, side);
const videos = fc.array(video, { minLength: 1, maxLength: 5 });

/** What is easily got wrong: a single block, frames, very wide, evenly and unevenly dividing windows, many images. */
const HARD: [[number, number, number][]][] = [
  [[[1, 1, 1]]],
  [[[3, 1, 1]]],
  [[[1, 1, 60]]],
  [[[2, 4, 6]]],
  [[[1, 3, 5]]],
  [Array.from({ length: 20 }, (): [number, number, number] => [1, 1, 2])],
];

interface Patch {
  readonly row: number;
  readonly column: number;
  readonly frame: number;
  readonly rows: number;
  readonly columns: number;
}

/** Patches in the order that processors give them: merge blocks row by row, and each block's own rows. */
function naturalOrder(blocks: readonly (readonly [number, number, number])[]): Patch[] {
  const patches: Patch[] = [];
  let frame = 0;
  for (const [frames, high, wide] of blocks) {
    for (let t = 0; t < frames; t++, frame++) {
      for (let y = 0; y < high; y++) {
        for (let x = 0; x < wide; x++) {
          for (const [dy, dx] of [
            [0, 0],
            [0, 1],
            [1, 0],
            [1, 1],
          ]) {
            patches.push({ row: 2 * y + dy, column: 2 * x + dx, frame, rows: 2 * high, columns: 2 * wide });
          }
        }
      }
    }
  }
  return patches;
}

/** Patches frame by frame, window by window (2x2 blocks are 4x4 patches), and where windows begin. */
function windowOrder(natural: readonly Patch[]): { order: number[]; begins: number[] } {
  const order: number[] = [];
  const begins: number[] = [];
  const all = natural.map((p, i) => ({ p, i }));
  const frames = Math.max(...natural.map((p) => p.frame)) + 1;
  for (let frame = 0; frame < frames; frame++) {
    const own = all.filter(({ p }) => p.frame === frame);
    const { rows, columns } = own[0].p;
    for (let top = 0; top < rows; top += 4) {
      const band = own.filter(({ p }) => p.row >= top && p.row < top + 4);
      for (let left = 0; left < columns; left += 4) {
        begins.push(order.length);
        for (const { p, i } of band) if (p.column >= left && p.column < left + 4) order.push(i);
      }
    }
  }
  return { order, begins };
}

/** Patches of blocks as a request of a tower whose patches have 4 values. */
const request = (blocks: readonly (readonly [number, number, number])[]): Record<string, Tensor> => ({
  hidden_states: zeros([naturalOrder(blocks).length, 4]),
  grid_thw: i32(
    [blocks.length, 3],
    blocks.flatMap(([t, h, w]) => [t, 2 * h, 2 * w]),
  ),
});

for (const family of FAMILIES) {
  const tower = towerOfConfig(smallConfig(family), "vision");
  test(`${family}: places, frames and windows of random images and videos`, () => {
    holds<[[number, number, number][]]>(
      [videos],
      (blocks) => {
        const natural = naturalOrder(blocks);
        const { values, dims } = planned(tower, request(blocks));
        const windowed = family === "qwen2_5_vl";
        const { order, begins } = windowOrder(natural);
        const patches = windowed ? order.map((i) => natural[i]) : natural;
        const frames = [...new Set(natural.map((p) => p.frame))].map((f) => natural.findIndex((p) => p.frame === f));
        assert.deepEqual([...values.cu_seqlens.data], [...frames, natural.length]);
        // Two frequencies along an axis: 1 and 1/100.
        const angles = patches.flatMap((p) => [p.row, p.row / 100, p.column, p.column / 100]);
        close(values.cos.data, angles.map(Math.cos), 1e-5);
        close(values.sin.data, angles.map(Math.sin), 1e-5);
        const longest = Math.max(...natural.map((p) => p.rows * p.columns));
        const block = dims("block");
        assert.equal(block.patches, natural.length);
        if (windowed) {
          assert.deepEqual([...values.window_index.data], order);
          assert.deepEqual([...values.cu_window_seqlens.data], [...begins, natural.length]);
          // Merged patches go back to where they came from.
          const units = order.filter((_, i) => i % 4 === 0).map((patch) => patch / 4);
          const back = units.map((_, at) => units.indexOf(at));
          assert.deepEqual([...values.reverse_index.data], back);
          const ends = [...begins.slice(1), natural.length];
          assert.equal(block.longest_segment, Math.max(...begins.map((b, i) => ends[i] - b)));
          assert.equal(block.segments, begins.length);
        } else {
          assert.equal(block.longest_segment, longest);
          assert.equal(block.segments, frames.length);
        }
      },
      HARD,
    );
  });
}

test("qwen3_vl: learned positions of random grids are bilinear between corners", () => {
  const tower = towerOfConfig(smallConfig("qwen3_vl"), "vision");
  const table = Array.from({ length: 25 }, (_, i) => ((i * 37) % 11) - 5);
  const at = (y: number, x: number): number => {
    const [top, left] = [Math.min(Math.floor(y), 4), Math.min(Math.floor(x), 4)];
    const [below, right] = [Math.min(top + 1, 4), Math.min(left + 1, 4)];
    const mix = (a: number, b: number, t: number): number => a + (b - a) * t;
    const row = (r: number): number => mix(table[5 * r + left], table[5 * r + right], x - left);
    return mix(row(top), row(below), y - top);
  };
  const along = (place: number, count: number): number => (count === 1 ? 0 : (4 * place) / (count - 1));
  holds<[[number, number, number][]]>(
    [videos],
    (blocks) => {
      const { position_index, position_weights } = planned(tower, request(blocks)).values;
      const expected = naturalOrder(blocks).map((p) => at(along(p.row, p.rows), along(p.column, p.columns)));
      const count = expected.length;
      const found = expected.map((_, p) =>
        [0, 1, 2, 3].reduce(
          (s, corner) => s + table[position_index.data[corner * count + p]] * position_weights.data[corner * count + p],
          0,
        ),
      );
      close(found, expected, 1e-4);
    },
    HARD,
  );
});

for (const name of ["pixtral", "pixtral-merge"]) {
  const tower = fixtureTower(name);
  const square = name === "pixtral-merge" ? 2 : 1;
  test(`${name}: random images in one padded batch`, () => {
    holds<[[number, number][]]>(
      [fc.array(grid, { minLength: 1, maxLength: 5 })],
      (sizes) => {
        const grids = sizes.map(([h, w]) => [h * square, w * square]);
        const [high, wide] = [0, 1].map((axis) => Math.max(...grids.map((g) => g[axis])));
        const { values, dims } = planned(tower, {
          pixel_values: zeros([grids.length, 3, 8 * high, 8 * wide]),
          image_sizes: i32(
            [grids.length, 2],
            grids.flatMap(([h, w]) => [8 * h, 8 * w]),
          ),
        });
        const index: number[] = [];
        const places: [number, number][] = [];
        const offsets = [0];
        const squares: number[] = [];
        for (const [image, [rows, columns]] of grids.entries()) {
          const first = index.length;
          for (let y = 0; y < rows; y++) {
            for (let x = 0; x < columns; x++) {
              index.push((image * high + y) * wide + x);
              places.push([y, x]);
            }
          }
          offsets.push(index.length);
          for (let y = 0; y < rows; y += 2) {
            for (let x = 0; x < columns; x += 2) {
              squares.push(...[0, 1, columns, columns + 1].map((d) => first + y * columns + x + d));
            }
          }
        }
        assert.deepEqual([...values.patch_index.data], index);
        assert.deepEqual([...values.cu_seqlens.data], offsets);
        assert.deepEqual(dims("block"), {
          segments: grids.length,
          longest_segment: Math.max(...grids.map(([h, w]) => h * w)),
          patches: index.length,
        });
        // Heads of 16 have eight frequencies 10000^(-i/8): rows turn by those of even i, columns by those of odd i.
        const angles = places.flatMap(([y, x]) => [
          ...[0, 2, 4, 6].map((i) => y * 10000 ** (-i / 8)),
          ...[1, 3, 5, 7].map((i) => x * 10000 ** (-i / 8)),
        ]);
        close(values.cos.data, angles.map(Math.cos), 1e-5);
        close(values.sin.data, angles.map(Math.sin), 1e-5);
        if (square === 2) assert.deepEqual([...values.merge_index.data], squares);
      },
      [[[[1, 1]]], [[[1, 37]]], [Array.from({ length: 12 }, (): [number, number] => [1, 2])]],
    );
  });
}
