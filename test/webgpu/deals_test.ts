/** How products are dealt out to workgroups; no adapter is asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Sizes, tileDeals } from "../../kernels/webgpu/claims/matmul_deals.ts";
import { TILES } from "../../kernels/webgpu/emit/matmul.ts";
import { type Dim, evaluate, mul, symbol } from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";

const RANGES = 60;

test("every size of a range is dealt out in one way, which covers the result and K", () => {
  let ways = 0;
  for (let seed = 0; seed < RANGES; seed++) {
    const drawn = (i: number, most: number): number => 1 + (hash32(seed, i) % most);
    const box = { size: { min: drawn(0, 40), max: 0 } };
    box.size.max = box.size.min + drawn(1, 2 ** drawn(2, 11));
    const rows = mul(drawn(3, 3) === 1 ? drawn(4, 200) : 1, symbol("size"));
    const sizes: Sizes = { rows, batch: drawn(5, 4) === 1 ? 3 : 1, n: drawn(6, 3000), k: drawn(7, 4000) };
    const deals = tileDeals(sizes, box);
    ways = Math.max(ways, deals.length);
    for (let i = 0; i < 30; i++) {
      const size = i < 2 ? [box.size.min, box.size.max][i] : box.size.min + drawn(8 + i, box.size.max - box.size.min);
      const at = (d: Dim): number => evaluate(d, { size });
      const [deal, ...others] = deals.filter(({ when }) => at(when) === 1);
      const what = `${JSON.stringify({ ...sizes, rows: at(rows) })}`;
      assert.ok(deal !== undefined && others.length === 0, `${what} is dealt out in ${others.length + 1} ways`);
      assert.ok(
        deals.every(({ when }) => [0, 1].includes(at(when))),
        what,
      );
      const { tile, grid, split } = deal;
      const [m, batch, n, k] = [rows, sizes.batch, sizes.n, sizes.k].map(at);
      const tiles = Math.ceil(m / tile.rows) * Math.ceil(n / tile.columns) * batch;
      if (split === undefined) {
        assert.equal(at(grid), tiles, what);
        continue;
      }
      const [chunk, count] = [split.chunk, split.count].map(at);
      assert.equal(at(grid), tiles * count, what);
      assert.equal(chunk % tile.depth, 0, what);
      assert.ok(chunk * count >= k && chunk * (count - 1) < k, what);
      assert.ok(at(split.bytes) >= 4 * count * batch * m * n, what);
    }
  }
  // The ranges drawn hold some that change their way.
  assert.ok(ways > 1);
});

test("large products go over whole K in large tiles, small ones share it in small tiles", () => {
  const only = (rows: number, n: number, k: number) => {
    const deals = tileDeals({ rows, batch: 1, n, k }, {});
    assert.equal(deals.length, 1);
    return deals[0];
  };
  const large = only(4096, 4096, 4096);
  assert.deepEqual([large.tile, large.split], [TILES[0], undefined]);
  const row = only(1, 768, 3072);
  assert.equal(row.tile, TILES[3]);
  assert.ok((row.split?.count as number) > 4);
  // Nothing to share.
  assert.equal(only(1, 768, 64).split, undefined);
});
