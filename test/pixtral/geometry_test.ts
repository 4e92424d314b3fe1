import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type PixtralConfig, readPixtralConfig } from "../../plugins/pixtral/config.ts";
import { imageOffsets, mergeIndex, patchIndex, patchRotary } from "../../plugins/pixtral/geometry.ts";
import { hash32 } from "../../runtime/core/random.ts";
import type { PatchGrid } from "../../runtime/nn/mod.ts";
import { FIXTURES, readJson } from "../kit/tower_fixtures.ts";

const CONFIG = readPixtralConfig(readJson(join(FIXTURES, "pixtral/config.json")));

/** Grids of several images, single patches and very wide ones among them; sides are multiples of `step`. */
function randomGrids(seed: number, step = 1): readonly PatchGrid[] {
  const side = (i: number): number => step * (1 + (hash32(seed, i) % (i % 5 === 0 ? 24 : 6)));
  return Array.from({ length: 1 + (hash32(seed, 99) % 6) }, (_, i) => ({
    rows: side(2 * i + 1),
    columns: side(2 * i),
  }));
}

/** Image, row and column of every patch in order. */
function places(grids: readonly PatchGrid[]): readonly (readonly [image: number, row: number, column: number])[] {
  return grids.flatMap(({ rows, columns }, image) =>
    Array.from({ length: rows * columns }, (_, i) => [image, Math.floor(i / columns), i % columns] as const),
  );
}

test("pixtral patch index: own patches among those of the padded batch", () => {
  for (let seed = 0; seed < 40; seed++) {
    const grids = randomGrids(seed);
    const padded = {
      rows: Math.max(...grids.map((g) => g.rows)) + (hash32(seed, 7) % 3),
      columns: Math.max(...grids.map((g) => g.columns)) + (hash32(seed, 8) % 3),
    };
    const expected = places(grids).map(([image, row, column]) => (image * padded.rows + row) * padded.columns + column);
    const { dtype, shape, data } = patchIndex(grids, padded);
    assert.deepEqual([dtype, shape, [...data]], ["i32", [expected.length], expected]);
  }
});

test("pixtral image offsets: the patches of an image lie between its offset and the next", () => {
  for (let seed = 0; seed < 40; seed++) {
    const grids = randomGrids(seed);
    const { shape, data } = imageOffsets(grids);
    assert.deepEqual(shape, [grids.length + 1]);
    assert.equal(data[0], 0);
    for (const [at, [image]] of places(grids).entries()) assert.ok(data[image] <= at && at < data[image + 1]);
    assert.equal(data[grids.length], places(grids).length);
  }
});

test("pixtral rotary tables: even frequencies turn by the row, odd ones by the column, from 0 in every image", () => {
  for (let seed = 0; seed < 25; seed++) {
    const grids = randomGrids(seed);
    const quarter = 1 + (hash32(seed, 50) % 8);
    const config: PixtralConfig = { ...CONFIG, heads: 3, hiddenSize: 12 * quarter, theta: [10000, 500, 3][seed % 3] };
    const { cos, sin } = patchRotary(grids, config);
    const all = places(grids);
    assert.deepEqual([cos.shape, sin.shape], [[all.length, 2 * quarter], cos.shape]);
    for (const [at, [, row, column]] of all.entries()) {
      for (let pair = 0; pair < 2 * quarter; pair++) {
        const [place, exponent] = pair < quarter ? [row, 4 * pair] : [column, 4 * (pair - quarter) + 2];
        const angle = place / config.theta ** (exponent / (4 * quarter));
        assert.ok(Math.abs(cos.data[at * 2 * quarter + pair] - Math.cos(angle)) < 2e-6);
        assert.ok(Math.abs(sin.data[at * 2 * quarter + pair] - Math.sin(angle)) < 2e-6);
      }
    }
  }
});

test("pixtral merge index: squares row by row, and the patches of each row by row", () => {
  for (let seed = 0; seed < 40; seed++) {
    const size = 1 + (seed % 3);
    const grids = randomGrids(seed, size);
    const all = places(grids);
    const { shape, data } = mergeIndex(grids, size);
    assert.deepEqual(shape, [all.length / size ** 2, size ** 2]);
    const key = ([image, row, column]: readonly [number, number, number]): readonly number[] => [
      image,
      Math.floor(row / size),
      Math.floor(column / size),
      row % size,
      column % size,
    ];
    const before = (a: readonly number[], b: readonly number[]): number => {
      const at = a.findIndex((v, i) => v !== b[i]);
      return at < 0 ? 0 : a[at] - b[at];
    };
    const order = all.map((_, i) => i).sort((a, b) => before(key(all[a]), key(all[b])));
    assert.deepEqual([...data], order);
  }
});
