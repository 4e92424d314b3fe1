import assert from "node:assert/strict";
import { test } from "node:test";
import { bertPlugin } from "../../plugins/bert/plugin.ts";
import type { Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { prepareTokens } from "../../runtime/media/token_inputs.ts";
import { i32, openText } from "./text_kit.ts";

const LIMITS = { vocabSize: 10, maxTokens: 6 };

test("token inputs: masks and types have defaults, and 64-bit integers are taken", () => {
  const shape = [2, 3];
  const ids = i32(shape, [1, 2, 3, 4, 5, 0]);
  const plain = prepareTokens({ input_ids: ids }, { ...LIMITS, tokenTypes: 2, firstToken: true });
  assert.deepEqual(Object.keys(plain).sort(), ["first_token", "input_ids", "key_mask", "token_type_ids"]);
  assert.deepEqual([...plain.key_mask.data], [1, 1, 1, 1, 1, 1]);
  assert.deepEqual([...plain.token_type_ids.data], [0, 0, 0, 0, 0, 0]);
  assert.deepEqual([...plain.first_token.data], [0, 0]);
  const wide = { dtype: "i64", shape, data: BigInt64Array.from([1n, 2n, 3n, 4n, 5n, 0n]) } as unknown as Tensor;
  const mask: Tensor = { dtype: "f32", shape, data: Float32Array.of(0, 0, 1, 0, 1, 1) };
  const full = prepareTokens({ input_ids: wide, attention_mask: mask }, { ...LIMITS, firstToken: true });
  assert.deepEqual([...full.input_ids.data], [...ids.data]);
  assert.deepEqual([...full.key_mask.data], [0, 0, 1, 0, 1, 1]);
  assert.deepEqual([...full.first_token.data], [2, 1]);
  assert.equal("token_type_ids" in full, false);
  const none = prepareTokens(
    { input_ids: ids, attention_mask: i32(shape, [0, 0, 0, 0, 0, 1]) },
    { ...LIMITS, firstToken: true },
  );
  assert.deepEqual([...none.first_token.data], [0, 2]);
});

test("token inputs: what a model cannot take is a sentence with found and expected", () => {
  const tower = openText(bertPlugin, { model_type: "bert", vocab_size: 10, max_position_embeddings: 6 }).towers[0];
  const refused = (inputs: Tensors, message: RegExp): void => {
    assert.throws(() => tower.prepare(inputs), { code: "invalid_input", message });
  };
  const ids = i32([1, 3], [1, 2, 3]);
  refused({}, /The input "input_ids" is missing/);
  refused(
    { input_ids: ids, pixel_values: ids },
    /no input "pixel_values"; this tower takes input_ids and attention_mask and token_type_ids/,
  );
  refused({ input_ids: i32([3], [1, 2, 3]) }, /has shape \[3\], expected \[batch, tokens\]/);
  refused({ input_ids: i32([0, 3], []) }, /has shape \[0, 3\], expected \[batch, tokens\]/);
  refused({ input_ids: i32([2, 3], [1, 2, 3]) }, /holds 3 values, but its shape \[2, 3\] needs 6/);
  refused({ input_ids: i32([1, 7], [1, 1, 1, 1, 1, 1, 1]) }, /has 7 tokens a text, but this model has 6 positions/);
  refused({ input_ids: i32([1, 2], [1, 10]) }, /holds 10 at element 1, outside of the vocabulary 0..9/);
  refused({ input_ids: i32([1, 2], [-1, 1]) }, /holds -1 at element 0/);
  const wide = { dtype: "i64", shape: [1, 2], data: BigInt64Array.of(1n, 2n ** 32n + 2n) } as unknown as Tensor;
  refused({ input_ids: wide }, /"input_ids" holds 4294967298 at element 1; whole numbers must fit 32 bits\./);
  refused({ input_ids: { ...ids, dtype: "f32", data: Float32Array.of(1, 2, 3) } }, /has type f32, expected i32/);
  refused(
    { input_ids: ids, attention_mask: i32([1, 2], [1, 1]) },
    /has shape \[1, 2\], expected that of "input_ids", \[1, 3\]/,
  );
  refused(
    { input_ids: ids, attention_mask: i32([1, 3], [1, 2, 0]) },
    /"attention_mask" holds 2 at element 1; expected 1 for tokens/,
  );
  refused(
    { input_ids: ids, token_type_ids: i32([1, 3], [0, 1, 2]) },
    /"token_type_ids" holds 2 at element 2; this model has the token types 0..1/,
  );
  refused({ input_ids: ids, token_type_ids: i32([3, 1], [0, 1, 1]) }, /"token_type_ids" has shape \[3, 1\]/);
});
