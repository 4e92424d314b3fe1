import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { type CompileResult, compileGraph } from "../../runtime/compile/compile.ts";
import type { WeightDType } from "../../runtime/core/dtype.ts";
import { createGraphBuilder, type GraphBuilder } from "../../runtime/ir/builder.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";

const TARGET = "wasm-simd128";

function compile(dtype: WeightDType, build: (b: GraphBuilder) => void, rows = 8, enabled = true): CompileResult {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: { rows: { min: 1, max: rows } }, interner });
  build(b);
  return compileGraph(b.finish(), {
    ...{ interner, kernels: wasmPlugin.kernels ?? [], target: TARGET, enabled, dtype },
    capabilities: wasmPlugin.devices?.[0].targetCapabilities(TARGET) ?? {},
  });
}

const linear = (b: GraphBuilder): void => {
  const x = b.input("x", [b.dims.rows, 5]);
  b.output("y", b.add(b.matmul(x, b.weight("w", [7, 5]), { transposeB: true }), b.weight("bias", [7])));
};

test("weights of products are rounded and biases are not, as the printed graph says", () => {
  const { traced, canonical } = compile("bf16", linear).report;
  assert.doesNotMatch(traced, /stored_as/);
  assert.match(
    canonical,
    /%1 = weight\(\) \{name="w"\} : f32\[7, 5\]\n%2 = stored_as\(%1\) \{dtype="bf16"\} : f32\[7, 5\]\n%3 = matmul\(%0, %2\)/,
  );
  assert.equal(canonical.match(/stored_as/g)?.length, 1);
  assert.doesNotMatch(compile("f32", linear).report.canonical, /stored_as/);
});

test("a weight of two bytes is packed in half of the bytes, for all ranges by one recipe", () => {
  const weightsOf = (dtype: WeightDType, rows?: number, enabled?: boolean) =>
    [...compile(dtype, linear, rows, enabled).artifact.weights].sort((a, b) => b.bytes - a.bytes);
  const [whole, bias] = weightsOf("f32");
  const [half, sameBias] = weightsOf("f16");
  // A panel of 16 columns for 5 steps of K.
  assert.deepEqual([whole.bytes, half.bytes], [16 * 5 * 4, 16 * 5 * 2]);
  assert.deepEqual([whole.dtype, half.dtype], [undefined, "f16"]);
  assert.deepEqual(sameBias, bias);
  assert.equal(weightsOf("f16", 64)[0].key, half.key);
  assert.equal(weightsOf("f16", 8, false)[0].key, half.key);
  assert.equal(new Set([whole, half, weightsOf("bf16")[0]].map((w) => w.key)).size, 3);
});

test("tables are rounded by the loader; what is computed of weights, after it is computed", () => {
  const { artifact, report } = compile("bf16", (b) => {
    const at = b.input("at", [b.dims.rows], "i32");
    b.output("plain", b.gather(b.weight("table", [9, 3]), at));
    b.output("scaled", b.gather(b.mul(b.weight("other", [9, 3]), b.constant(3)), at));
  });
  const [plain, scaled] = artifact.weights;
  assert.deepEqual([plain.bytes, plain.dtype, plain.prologue], [54, "bf16", undefined]);
  assert.deepEqual([scaled.bytes, scaled.dtype], [54, "bf16"]);
  assert.deepEqual(
    scaled.prologue?.steps.map((s) => s.kernel),
    ["elementwise/mul", "prepack/stored_as"],
  );
  assert.deepEqual(scaled.prologue?.outputs, [{ name: "dense bf16", dtype: "bf16", shape: [27] }]);
  assert.match(report.canonical, /= mul\(.*\n%\d+ = stored_as/);
});

test("under int8 tables of words are rounded to bf16, smaller ones and all other weights are not", () => {
  const { artifact, report } = compile("int8", (b) => {
    const at = b.input("at", [b.dims.rows], "i32");
    b.output("words", b.gather(b.weight("words", [2 ** 15, 32]), at));
    b.output("places", b.gather(b.weight("places", [2 ** 15 - 1, 32]), at));
  });
  assert.deepEqual(
    artifact.weights.map(({ bytes, dtype }) => [bytes, dtype]),
    [
      [2 ** 20 * 2, "bf16"],
      [(2 ** 20 - 32) * 4, undefined],
    ],
  );
  assert.equal(report.canonical.match(/stored_as/g)?.length, 1);
});

test("stacked products are rounded once, as one weight", () => {
  const { report } = compile("f16", (b) => {
    const x = b.input("x", [1, b.dims.rows, 4]);
    const heads = (name: string) =>
      b.reshape(b.matmul(x, b.weight(name, [4, 4]), { transposeB: true }), [1, b.dims.rows, 2, 2]);
    b.output("y", b.attention(heads("q"), heads("k"), heads("v")));
  });
  assert.match(report.canonical, /= concat\(.*\n%\d+ = stored_as.*f32\[12, 4\]\n%\d+ = matmul/);
  assert.equal(report.canonical.match(/stored_as/g)?.length, 1);
});

test("products of weights alone stay f32", () => {
  const { report } = compile("f16", (b) => {
    const query = b.matmul(b.weight("probe", [1, 4]), b.weight("w", [4, 4]));
    b.output("y", b.add(b.input("x", [b.dims.rows, 4]), query));
  });
  assert.doesNotMatch(report.canonical, /stored_as/);
});

test("rounding is said once, and only of f32 to two bytes", () => {
  const { make } = createInterner(OP_TABLE);
  const input = (dtype: "f32" | "i32") => make("input", [], { name: dtype, shape: [2], dtype });
  assert.throws(() => make("stored_as", [input("i32")], { dtype: "f16" }), /it rounds f32, found i32/);
  assert.throws(() => make("stored_as", [input("f32")], { dtype: "f32" }), /must be f16 or bf16, found f32/);
  const written = compile("f16", (b) => {
    const w = b.op("stored_as", [b.weight("w", [3, 3])], { dtype: "bf16" });
    b.output("y", b.matmul(b.input("x", [b.dims.rows, 3]), w));
  });
  assert.equal(written.report.canonical.match(/stored_as/g)?.length, 1);
  assert.equal(written.artifact.weights[0].dtype, "bf16");
});
