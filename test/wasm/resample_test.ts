import assert from "node:assert/strict";
import { test } from "node:test";
import { resampleColumnsKernel } from "../../kernels/wasm/emit/resample_columns.ts";
import { resampleRowsKernel } from "../../kernels/wasm/emit/resample_rows.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { checkByteCopy, checkColumns, checkRows } from "./cases/resample_cases.ts";
import { instantiate } from "./emit_kit.ts";

for (const narrow of [true, false]) {
  const weights = narrow ? "weights of 16 bits" : "wide weights";
  test(`pixels along rows have the evaluator's bits, ${weights}`, () => {
    const kernel = instantiate(resampleColumnsKernel({ narrow }).bytes);
    for (let seed = 0; seed < 60; seed++) {
      const size = (i: number, most: number): number => 1 + (hash32(seed, i) % most);
      const sizes = {
        rows: size(1, 11),
        length: size(2, seed % 3 === 0 ? 5 : 40),
        outputs: size(3, 21),
        taps: 4 * size(4, 4),
      };
      assert.equal(checkColumns(kernel, sizes, narrow, seed), undefined, `seed ${seed}: ${JSON.stringify(sizes)}`);
    }
  });

  test(`rows of bytes have the evaluator's bits, ${weights}`, () => {
    const kernel = instantiate(resampleRowsKernel({ narrow }).bytes);
    for (let seed = 0; seed < 60; seed++) {
      const size = (i: number, most: number): number => 1 + (hash32(seed, i) % most);
      const sizes = { rows: 1, length: size(1, seed % 3 === 0 ? 4 : 30), outputs: size(2, 9), taps: 4 * size(3, 4) };
      const width = 4 * size(4, 20);
      assert.equal(
        checkRows(kernel, width, sizes, narrow, seed),
        undefined,
        `seed ${seed}: ${width}, ${JSON.stringify(sizes)}`,
      );
    }
  });
}

test("bytes in another order", () => {
  for (let seed = 0; seed < 20; seed++) {
    const size = (i: number, most: number): number => 1 + (hash32(seed, i) % most);
    const shape = [size(1, 3), size(2, 3), size(3, 9), 3, size(4, 3), 2, 4 * size(5, 20)];
    assert.equal(checkByteCopy(shape, [0, 4, 1, 5, 3, 2, 6], seed), undefined, `channels first, ${shape.join("x")}`);
    assert.equal(checkByteCopy(shape, [0, 4, 1, 5, 2, 6, 3], seed), undefined, `channels last, ${shape.join("x")}`);
  }
  assert.equal(checkByteCopy([4, 3, 8], [1, 0, 2], 1), undefined);
  assert.equal(checkByteCopy([1, 4, 100], [1, 0, 2], 1), undefined);
});
