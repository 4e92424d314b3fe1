/** Ops that plugins bring: what they mean follows from their own expansion, beside kernels that do not know them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, definePlugin } from "../../mod.ts";
import type { GraphBuilder } from "../../runtime/ir/builder.ts";
import type { Make, Node, OpRow } from "../../runtime/ir/node.ts";
import { hasCode } from "../kit/assertions.ts";

/** Squares each element. */
const SQUARE: OpRow = {
  kind: "elementwise",
  arity: [1, 1],
  infer: ([x]) => ({ dtype: x.dtype, shape: x.shape }),
  expand: ([x], _, make) => make("mul", [x, x]),
};

/** What a component computes of -4, -3, …, 5 with an op "test/square". */
async function computed(row: OpRow, build: (b: GraphBuilder) => void): Promise<number[]> {
  const ops = definePlugin({ name: "@test/ops", version: "1.0.0", abi: 1, ops: { "test/square": row } });
  const runtime = await createRuntime({ threads: 0, plugins: [ops, wasmPlugin], cache: false });
  try {
    const component = await runtime.compile({
      tag: "example/ops",
      symbols: { rows: { min: 1, max: 8 } },
      build,
    });
    const data = Float32Array.from({ length: 10 }, (_, i) => i - 4);
    const { y } = await component.run({ x: { dtype: "f32", shape: [2, 5], data } });
    return Array.from(y.data as Float32Array);
  } finally {
    await runtime.close();
  }
}

const squares = Array.from({ length: 10 }, (_, i) => (i - 4) ** 2);

test("an elementwise op of a plugin is expanded, alone and between ops that are fused", async () => {
  const alone = await computed(SQUARE, (b) => {
    b.output("y", b.op("test/square", [b.input("x", [b.dims.rows, 5])]));
  });
  assert.deepEqual(alone, squares);
  const between = await computed(SQUARE, (b) => {
    const negative = b.op("neg", [b.input("x", [b.dims.rows, 5])]);
    b.output("y", b.op("neg", [b.op("test/square", [negative])]));
  });
  assert.deepEqual(
    between,
    squares.map((v) => -v),
  );
});

const COMPONENT = (b: GraphBuilder): void => {
  b.output("y", b.op("test/square", [b.input("x", [b.dims.rows, 5])]));
};

const WRONG: readonly (readonly [string, object | null, string, RegExp])[] = [
  ["is none", null, "invalid_plugin", /it is null; expected { kind, arity, infer, expand }\.$/],
  ["has no kind", { ...SQUARE, kind: "magic" }, "invalid_plugin", /its `kind` is "magic"; expected one of source, /],
  [
    "has no arity",
    { ...SQUARE, arity: 1 },
    "invalid_plugin",
    /its `arity` is 1; expected its fewest and most inputs, /,
  ],
  [
    "has no infer",
    { ...SQUARE, infer: undefined },
    "invalid_plugin",
    /its `infer` is undefined; expected a function\.$/,
  ],
  [
    "has text as expand",
    { ...SQUARE, expand: "mul" },
    "invalid_plugin",
    /its `expand` is "mul"; expected a function, or/,
  ],
  [
    "throws in infer",
    {
      ...SQUARE,
      infer: () => {
        throw new Error("boom");
      },
    },
    "invalid_plugin",
    /its `infer` threw: boom\. The call is at plugin_ops_test\.ts:\d+\. This is in component "example\/ops"\.$/,
  ],
  [
    "infers nothing",
    { ...SQUARE, infer: () => undefined },
    "invalid_plugin",
    /its `infer` gives no \{ shape, dtype \}, nor a/,
  ],
  [
    "infers no size",
    { ...SQUARE, infer: () => ({ dtype: "f32", shape: [Number.NaN] }) },
    "invalid_plugin",
    /its `infer` gives/,
  ],
  ["infers no type", { ...SQUARE, infer: () => ({ dtype: "f99", shape: [5] }) }, "invalid_plugin", /its `infer` gives/],
  [
    "throws in expand",
    {
      ...SQUARE,
      expand: () => {
        throw new Error("boom");
      },
    },
    "invalid_plugin",
    /^The op "test\/square" of plugin "@test\/ops" cannot be used: its `expand` threw: boom\.$/,
  ],
  [
    "expands to nothing",
    { ...SQUARE, expand: () => undefined },
    "invalid_plugin",
    /its `expand` gives no node; expected one/,
  ],
  [
    "expands to another shape",
    { ...SQUARE, expand: ([x]: Node[], _: object, make: Make) => make("reduce_sum", [x], { axis: -1 }) },
    "invalid_plugin",
    /its `expand` gives f32\[rows.*\], but its `infer` says f32\[rows, 5\]; both are one value\.$/,
  ],
  [
    "expands to what is no op",
    { ...SQUARE, expand: ([x]: Node[], _: object, make: Make) => make("squar", [x]) },
    "trace_break",
    /there is no operation "squar".* This is in the `expand` of "test\/square" of plugin "@test\/ops"\.$/,
  ],
  [
    "expands without an end",
    { ...SQUARE, expand: ([x]: Node[], _: object, make: Make) => make("test/square", [make("neg", [x])]) },
    "endless_expansion",
    /^The op "test\/square" is still expanded after 32 rounds; its `expand` leads back to itself\. Say it in simpler ops\.$/,
  ],
];

for (const [what, row, code, says] of WRONG) {
  test(`an op of a plugin that ${what} is told by its name`, async () => {
    await assert.rejects(computed(row as OpRow, COMPONENT), hasCode(code, says));
  });
}
