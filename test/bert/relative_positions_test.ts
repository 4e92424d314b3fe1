import assert from "node:assert/strict";
import { test } from "node:test";
import { relativeBuckets } from "../../plugins/bert/relative_positions.ts";

/** Shortest distance of each bucket from 8 on, as transformers' `relative_position_bucket` gives them in f32. */
const FIRST_OF_BUCKET = [8, 12, 16, 23, 32, 46, 64, 91];

test("mpnet: keys behind a query and before it have buckets by distance, the farthest one together", () => {
  const tokens = 300;
  const { shape, data } = relativeBuckets(tokens);
  assert.deepEqual(shape, [tokens, tokens]);
  for (let query = 0; query < tokens; query++) {
    for (let key = 0; key < tokens; key++) {
      const distance = Math.abs(key - query);
      const bucket = distance < 8 ? distance : 7 + FIRST_OF_BUCKET.filter((first) => first <= distance).length;
      assert.equal(data[query * tokens + key], key > query ? 16 + bucket : bucket, `query ${query}, key ${key}`);
    }
  }
});
