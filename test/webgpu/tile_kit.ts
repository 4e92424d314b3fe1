/** Products in a tile of one size, at odd sizes between poison. */
import { test } from "node:test";
import { matmulKernel, TILES } from "../../kernels/webgpu/emit/matmul.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { assertNear, normals, runKernel } from "./gpu_kit.ts";

/** C = A B, in double precision. */
export function product(
  a: Float32Array,
  b: Float32Array,
  [m, n, k]: readonly number[],
  transposed: boolean,
): Float64Array {
  const c = new Float64Array(m * n);
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++)
      for (let p = 0; p < k; p++) c[i * n + j] += a[i * k + p] * b[transposed ? j * k + p : p * n + j];
  return c;
}

/** Two batches of A against one B and a row, with a K that ends inside of a block; as a whole, and in parts of K. @param at position among the tiles */
export function testTile(at: number, device: () => Promise<Device>): void {
  const tile = TILES[at];
  const transposed = at % 2 === 0;
  const [m, n, k] = [tile.rows + 3, tile.columns + 5, 37];
  const [a, b, row] = [normals(1, 2 * m * k), normals(2, n * k), normals(3, n)];
  const kinds = { out: "write", a: "read", b: "weight", operands: ["weight"] } as const;
  const grid = 2 * Math.ceil(m / tile.rows) * Math.ceil(n / tile.columns);
  const sizes = [m, n, k, m * k, k, 0, transposed ? k : n];
  const expected = (first: number, end: number): readonly number[] =>
    [0, 1].flatMap((batch) => {
      const inside = (p: number): boolean => p >= first && p < end;
      const part = a.subarray(batch * m * k, (batch + 1) * m * k).map((v, i) => (inside(i % k) ? v : 0));
      return Array.from(product(part, b, [m, n, k], transposed));
    });
  const by = `tiles of ${tile.rows} x ${tile.columns}, B ${transposed ? "transposed" : "as it is"}`;
  test(`products in ${by}`, async () => {
    const epilogue = { op: "add", args: [{ input: 0 }, { input: 1 }] } as const;
    const found = await runKernel(await device(), {
      code: matmulKernel({ tile, transposed, whole: false, epilogue, kinds }),
      inputs: [a, b, row],
      outputLength: 2 * m * n,
      words: [...sizes, 0, 0, 1],
      grid,
    });
    const sums = expected(0, k).map((v, i) => v + row[i % n]);
    assertNear(found, sums, 1e-6, "C");
  });
  test(`parts of K of products in ${by}`, async () => {
    const chunk = tile.depth;
    const count = Math.ceil(k / chunk);
    const found = await runKernel(await device(), {
      code: matmulKernel({ tile, transposed, whole: false, epilogue: undefined, kinds: { ...kinds, operands: [] } }),
      inputs: [a, b],
      outputLength: count * 2 * m * n,
      words: [...sizes, chunk, 2 * m * n],
      grid: grid * count,
    });
    const parts = Array.from({ length: count }, (_, i) => expected(i * chunk, (i + 1) * chunk));
    assertNear(found, parts.flat(), 1e-6, "parts");
  });
}
