import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensor } from "../../runtime/abi/encoder.ts";
import { concatRows, joinBatches, sliceRows } from "../../runtime/session/inputs/batching.ts";
import { hasCode } from "../kit/assertions.ts";

const f32 = (shape: readonly number[], from: number): Tensor => {
  const length = shape.reduce((a, d) => a * d, 1);
  return { dtype: "f32", shape, data: Float32Array.from({ length }, (_, i) => from + i) };
};

test("batching: parts are joined along the first axis, or along the one that is named", () => {
  const parts = [
    { rows: f32([2, 3], 0), packed: f32([1, 2, 4], 0) },
    { rows: f32([1, 3], 6), packed: f32([1, 3, 4], 8) },
  ];
  assert.deepEqual(concatRows(parts, { packed: 1 }), { rows: f32([3, 3], 0), packed: f32([1, 5, 4], 0) });
  assert.throws(
    () => concatRows(parts),
    hasCode(
      "invalid_plan",
      /^The result "packed" of parts has the shapes \[1,2,4\] and \[1,3,4\], which cannot be joined along axis 0; /,
    ),
  );
  assert.throws(
    () => concatRows(parts, { packed: 1, rows: 1 }),
    hasCode("invalid_plan", /^The result "rows" .* which cannot be joined along axis 1; see/),
  );
  const equal = [{ x: f32([1, 2, 2], 0) }, { x: f32([1, 2, 2], 4) }];
  assert.deepEqual(concatRows(equal), { x: f32([2, 2, 2], 0) });
  assert.deepEqual(concatRows(equal, { x: 1 }), { x: f32([1, 4, 2], 0) });
});

test("batching: slices share the values of what they are cut from", () => {
  const x = f32([4, 2, 2], 0);
  const { x: part } = sliceRows({ x }, 1, 3);
  assert.deepEqual(part, f32([2, 2, 2], 4));
  assert.equal(part.data.buffer, x.data.buffer);
  assert.deepEqual(concatRows([sliceRows({ x }, 0, 1), sliceRows({ x }, 1, 4)]), { x });
});

test("batching: results of a call's batches whose sizes make no one tensor are refused in the caller's words", () => {
  const parts = [{ x: f32([2, 2, 3], 0) }, { x: f32([1, 4, 3], 6) }];
  assert.throws(
    () => joinBatches(parts),
    hasCode(
      "invalid_input",
      /^The result "x" is \[2,2,3\] of some inputs and \[1,4,3\] of others; encode inputs of different sizes in calls/,
    ),
  );
  const packed = [{ x: f32([1, 2, 3], 0) }, { x: f32([1, 4, 3], 6) }];
  assert.deepEqual(joinBatches(packed, { x: 1 }), { x: f32([1, 6, 3], 0) });
});
