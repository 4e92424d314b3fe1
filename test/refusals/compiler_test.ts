/** Sentences of ops, the evaluator and the wasm kernels that no other test asks for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { isRefusal } from "../../runtime/abi/kernel.ts";
import { createClaimContext } from "../../runtime/compile/cover.ts";
import { createViewResolver } from "../../runtime/compile/views.ts";
import { symbol } from "../../runtime/core/dim.ts";
import type { DType } from "../../runtime/core/dtype.ts";
import * as ref from "../../runtime/ir/evaluate/mod.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { resampleTable } from "../../runtime/ir/evaluate/resample.ts";
import { graphFromData } from "../../runtime/ir/graph_data.ts";
import { createInterner, type Node } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { hasCode } from "../kit/assertions.ts";
import { randomTensor } from "../kit/random_graph.ts";

const floats = (...shape: number[]): RefTensor => randomTensor(1, shape);
const integers = (...data: number[]): RefTensor => refTensor("i32", [data.length], data);

test("the evaluator says what it found and what it expected", () => {
  const q = floats(1, 4, 3, 4);
  const refusals: readonly (readonly [() => unknown, RegExp])[] = [
    [
      () => ref.attention(q, floats(1, 4, 3, 6), floats(1, 4, 3, 6), { scale: 1 }),
      /query \[1, 4, 3, 4\] and key \[1, 4, 3, 6\]/,
    ],
    [() => ref.attention(q, floats(1, 4, 2, 4), floats(1, 4, 2, 4), { scale: 1 }), /3 query heads and 2 key heads/],
    [() => ref.div(integers(3), integers(0)), /an integer divisor of 0, expected divisors other than 0/],
    [() => ref.gather(refTensor("f32", [], [1]), integers(0)), /a scalar table, expected at least one axis/],
    [() => ref.windows(floats(2, 3), 1, 4, 1), /size 4, step 1, expected runs within 3/],
    [() => ref.argmax(floats(2, 0), 1), /an axis of size 0 in \[2, 0\]/],
    [
      () => ref.rotary(floats(1, 2, 1, 4), floats(2, 3), floats(2, 3), false),
      /3 pairs in a head_dim of 4, expected at most half of it/,
    ],
    [
      () => resampleTable([integers(-1), refTensor("i32", [1, 1], [1]), integers(14)], false),
      /an output that starts at -1, expected starts of at least 0/,
    ],
  ];
  for (const [call, says] of refusals) assert.throws(call, says);
});

const { make } = createInterner(OP_TABLE);

test("sizes that are none and pixels without three channels are refused by the ops", () => {
  const input = (name: string, dtype: DType, shape: readonly number[]): Node =>
    make("input", [], { name, shape, dtype });
  assert.throws(
    () => input("x", "f32", [2, -1]),
    hasCode("shape_error", /sizes must be whole and at least 0, found \[2, -1\]\./),
  );
  const table = [input("starts", "i32", [4]), input("weights", "i32", [4, 4]), input("bits", "i32", [1])];
  assert.throws(
    () => make("resample_columns", [input("pixels", "u8", [2, 9, 4]), ...table], { narrow: false }),
    hasCode("shape_error", /pixels have 3 channels, found 4\./),
  );
});
const input = (shape: readonly (number | ReturnType<typeof symbol>)[], dtype: DType = "f32"): Node =>
  make("input", [], { name: `${dtype} ${shape.length}`, shape, dtype });

test("ops say which sizes they cannot take", () => {
  const x = input([2, 3, 1, 8]);
  const says = (call: () => unknown, sentence: RegExp): void => assert.throws(call, hasCode("shape_error", sentence));
  says(
    () => make("windows", [x], { axis: 3, size: 0, step: 1 }),
    /need a size and a step of at least 1, found 0 and 1/,
  );
  says(() => make("windows", [x], { axis: 3, size: 9, step: 1 }), /an axis of size 8 has no window of 9/);
  const tables = [input([3, 4]), make("input", [], { name: "sin", shape: [3, 2], dtype: "f32" })];
  says(() => make("rotary", [x, ...tables]), /cos \[3, 4\] and sin \[3, 2\] must have one shape/);
});

/** Reasons of all wasm kernels that refuse a node. */
function refusalsOf(node: Node): readonly string[] {
  const graph = { symbols: { h: { min: 1, max: 4 } }, inputs: [], outputs: [{ name: "y", node }] };
  const context = createClaimContext(graph, {
    capabilities: wasmPlugin.devices?.[0].targetCapabilities("wasm-simd128") ?? {},
    table: OP_TABLE,
    view: createViewResolver(OP_TABLE),
  });
  const offers = (wasmPlugin.kernels ?? []).flatMap((k) => k.claim(context, node));
  return offers.filter(isRefusal).map((r) => r.reason);
}

test("wasm kernels refuse types and sizes that they do not compute", () => {
  const half = input([1, 2, 1, 4], "f16");
  const attributes = { scale: 1, causal: false, key_mask: false, segments: false };
  assert.deepEqual(refusalsOf(make("attention", [half, half, half], attributes)), [
    "it computes in f32, and an operand is f16.",
  ]);
  const open = input([1, 2, 1, symbol("h")]);
  assert.deepEqual(refusalsOf(make("attention", [open, open, open], attributes)), [
    "its head_dim must be known when it is compiled.",
  ]);
  const table = input([2, 2]);
  assert.deepEqual(refusalsOf(make("rotary", [half, table, table], { interleaved: false })), [
    "it computes in f32, and an operand is f16.",
  ]);
  assert.deepEqual(refusalsOf(make("contiguous", [half])), ["it moves f32, i32, u8, not f16."]);
});

test("products of integers refuse what they do not pack or read", () => {
  const x = input([2, 3, 32]);
  const weight = (name: string, shape: readonly number[]): Node => make("weight", [], { name, shape, dtype: "f32" });
  const of = (w: Node): Node => make("quantized_matmul", [x, w]);
  assert.deepEqual(refusalsOf(of(input([16, 32]))), [
    "codes of its right-hand side are packed at load, and this one is no weight.",
  ]);
  const product = of(weight("w", [16, 32]));
  const follows = (other: Node): readonly string[] =>
    refusalsOf(make("where", [other, product, make("constant", [], { value: 0 })])).filter((s) => /codes/.test(s));
  assert.deepEqual(follows(input([2, 3, 16], "i32")), ["what follows the codes is of f32, and an operand is i32."]);
  assert.deepEqual(follows(make("transpose", [input([2, 16, 3])], { perm: [0, 2, 1] })), [
    "what follows the codes reads a value that is not contiguous along its columns.",
  ]);
  const deep = make("quantized_matmul", [input([2, 3, 5, 32]), weight("w", [16, 32])]);
  const turned = make("transpose", [input([3, 2, 5, 16])], { perm: [1, 0, 2, 3] });
  assert.ok(refusalsOf(make("add", [deep, turned])).includes("what follows the codes reads rows at uneven distances."));
});

test("what is no graph's data is refused", () => {
  assert.throws(
    () => graphFromData({ symbols: {} }, make),
    hasCode("invalid_graph", /not the data of a graph; record it/),
  );
  const early = { symbols: {}, inputs: [], nodes: [["neg", [1], {}]], outputs: [] };
  assert.throws(() => graphFromData(early, make), hasCode("invalid_graph", /names node 1 before it is made/));
});
