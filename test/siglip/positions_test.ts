import assert from "node:assert/strict";
import { test } from "node:test";
import { axisWeights, type Grid, positionWeights } from "../../plugins/siglip/positions.ts";
import { hash32, normal } from "../../runtime/core/random.ts";

const close = (found: ArrayLike<number>, expected: readonly number[]): void => {
  assert.equal(found.length, expected.length);
  expected.forEach((v, i) => {
    assert.ok(Math.abs(found[i] - v) < 1e-6, `element ${i}: ${found[i]}, expected ${v}`);
  });
};

test("naflex positions: weights of an axis by hand", () => {
  close(axisWeights(2, 4), [1, 0, 0.75, 0.25, 0.25, 0.75, 0, 1]);
  // Shrinking, a tent twice as wide.
  close(axisWeights(4, 2), [3 / 7, 3 / 7, 1 / 7, 0, 0, 1 / 7, 3 / 7, 3 / 7]);
  close(axisWeights(3, 3), [1, 0, 0, 0, 1, 0, 0, 0, 1]);
  close(axisWeights(1, 3), [1, 1, 1]);
  close(axisWeights(4, 1), [5 / 24, 7 / 24, 7 / 24, 5 / 24]);
});

test("naflex positions: weights of an axis sum to 1 and are the same from both ends", () => {
  for (let seed = 0; seed < 40; seed++) {
    const from = 1 + (hash32(seed, 0) % 24);
    const to = 1 + (hash32(seed, 1) % 70);
    const weights = axisWeights(from, to);
    assert.ok(weights.every((w) => w >= 0));
    for (let i = 0; i < to; i++) {
      const row = weights.subarray(i * from, (i + 1) * from);
      assert.ok(Math.abs(row.reduce((a, b) => a + b, 0) - 1) < 1e-6);
      close(row, [...weights.subarray((to - 1 - i) * from, (to - i) * from)].reverse());
    }
  }
});

/** A tent over the plane around the patch's middle, weighed over the whole table. */
function resizedNaively(table: Float32Array, side: number, grid: Grid, row: number, column: number): number {
  const tent = (at: number, to: number, j: number): number => {
    const reach = Math.max(1, side / to);
    return Math.max(0, 1 - Math.abs(j + 0.5 - ((at + 0.5) * side) / to) / reach);
  };
  let sum = 0;
  let total = 0;
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const weight = tent(row, grid.rows, y) * tent(column, grid.columns, x);
      sum += weight * table[y * side + x];
      total += weight;
    }
  }
  return sum / total;
}

test("naflex positions: random grids equal a plain resize of the table, padding has the first patch's", () => {
  const grids: Grid[] = [
    { rows: 1, columns: 1 },
    { rows: 1, columns: 2 },
    { rows: 1, columns: 120 },
    { rows: 90, columns: 1 },
    { rows: 4, columns: 4 },
    ...Array.from({ length: 12 }, (_, i) => ({ rows: 1 + (hash32(i, 7) % 13), columns: 1 + (hash32(i, 8) % 13) })),
  ];
  for (const side of [1, 4, 7]) {
    const patches = 190;
    const table = Float32Array.from({ length: side * side }, (_, i) => normal(3, i));
    const { rows, columns } = positionWeights(grids, patches, side);
    assert.equal(rows.length, grids.length * patches * side);
    for (const [image, grid] of grids.entries()) {
      for (let p = 0; p < patches; p++) {
        const at = (image * patches + p) * side;
        let found = 0;
        for (let y = 0; y < side; y++) {
          for (let x = 0; x < side; x++) found += rows[at + y] * columns[at + x] * table[y * side + x];
        }
        const q = p < grid.rows * grid.columns ? p : 0;
        const wanted = resizedNaively(table, side, grid, Math.floor(q / grid.columns), q % grid.columns);
        assert.ok(Math.abs(found - wanted) < 1e-5, `${grid.rows}x${grid.columns}, patch ${p}: ${found}, not ${wanted}`);
      }
    }
  }
});
