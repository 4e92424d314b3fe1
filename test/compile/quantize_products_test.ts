import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmCapabilities } from "../../kernels/wasm/device/capabilities.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { type CompileResult, compileGraph } from "../../runtime/compile/compile.ts";
import { createGraphBuilder, type GraphBuilder } from "../../runtime/ir/builder.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";

const WIDTH = 32;

function compile(build: (b: GraphBuilder) => void, rows = 8, enabled = true): CompileResult {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: { rows: { min: 1, max: rows } }, interner });
  build(b);
  return compileGraph(b.finish(), {
    interner,
    kernels: wasmPlugin.kernels ?? [],
    target: "wasm-simd128",
    capabilities: wasmCapabilities("wasm-simd128"),
    enabled,
    dtype: "int8",
  });
}

const canonical = (build: (b: GraphBuilder) => void): string => compile(build).report.canonical;

const mlp = (b: GraphBuilder): void => {
  const x = b.input("x", [b.dims.rows, WIDTH]);
  const normed = b.layerNorm(x, b.weight("gamma", [WIDTH]), b.weight("beta", [WIDTH]), 1e-5);
  const inner = b.add(b.matmul(normed, b.weight("up", [48, WIDTH]), { transposeB: true }), b.weight("bias", [48]));
  const outer = b.matmul(b.unary("gelu", inner), b.weight("down", [WIDTH, 48]), { transposeB: true });
  b.output("y", b.add(x, outer));
};

test("int8: products with large weights are of integers; behind a norm its parameters even out the columns", () => {
  const text = canonical(mlp);
  assert.equal(text.match(/= quantized_matmul/g)?.length, 2);
  assert.doesNotMatch(text, /= matmul/);
  assert.match(text, /= channel_scales\(/);
  assert.equal(text.match(/= channel_scales/g)?.length, 1);
  assert.match(text, /quantized_matmul\(.*\) \{scaled=true\}/);
  assert.doesNotMatch(text, /stored_as/);
});

test("int8: one pass over the rows, and bias, activation and residual in the product; weights take a byte each", () => {
  const { artifact } = compile(mlp);
  assert.deepEqual(
    artifact.steps.map((s) => s.kernel.split("/")[1]),
    ["layer_norm", "quantize_rows", "quantized_matmul_add_gelu", "quantize_rows", "quantized_matmul_add"],
  );
  const bytes = artifact.weights.reduce((sum, w) => sum + w.bytes, 0);
  const numbers = 2 * 48 * WIDTH;
  // Scales and sums of 48 and 32 channels, factors of one product, and what stays f32.
  assert.equal(bytes, numbers + 8 * (48 + WIDTH) + 4 * WIDTH + 4 * (48 + 2 * WIDTH));
});

test("int8: every op alone gives the same products, and ranges share the packed weights", () => {
  const whole = compile(mlp);
  const alone = compile(mlp, 8, false);
  assert.equal(alone.report.canonical.match(/= quantized_matmul/g)?.length, 2);
  const keys = ({ artifact }: CompileResult): readonly string[] =>
    artifact.weights.filter((w) => w.prologue !== undefined).map((w) => w.key);
  assert.deepEqual(keys(compile(mlp, 300)), keys(whole));
  assert.deepEqual([...keys(alone)].sort(), [...keys(whole)].sort());
});

test("int8: small products, those of bytes, of two values and of weights kept as [in, out] stay f32", () => {
  const kept: Readonly<Record<string, (b: GraphBuilder) => void>> = {
    "few outputs": (b) =>
      b.output("y", b.matmul(b.input("x", [b.dims.rows, WIDTH]), b.weight("w", [15, WIDTH]), { transposeB: true })),
    "short rows": (b) =>
      b.output("y", b.matmul(b.input("x", [b.dims.rows, 8]), b.weight("w", [WIDTH, 8]), { transposeB: true })),
    bytes: (b) =>
      b.output(
        "y",
        b.matmul(b.cast(b.input("x", [b.dims.rows, WIDTH], "u8")), b.weight("w", [WIDTH, WIDTH]), { transposeB: true }),
      ),
    "two values": (b) => {
      const x = b.input("x", [b.dims.rows, WIDTH]);
      b.output("y", b.matmul(x, b.input("z", [WIDTH, WIDTH]), { transposeB: true }));
    },
    "in, out": (b) => b.output("y", b.matmul(b.input("x", [b.dims.rows, WIDTH]), b.weight("w", [WIDTH, WIDTH]))),
  };
  for (const [name, build] of Object.entries(kept)) {
    const text = canonical(build);
    assert.match(text, /= matmul\(/, name);
    assert.doesNotMatch(text, /quantized/, name);
  }
});

test("int8: a norm whose parameters are values tells nothing about its columns", () => {
  const text = canonical((b) => {
    const x = b.input("x", [b.dims.rows, WIDTH]);
    const normed = b.rmsNorm(x, b.input("gamma", [WIDTH]), 1e-6);
    b.output("y", b.matmul(normed, b.weight("w", [WIDTH, WIDTH]), { transposeB: true }));
  });
  assert.match(text, /= quantized_matmul/);
  assert.doesNotMatch(text, /channel_scales/);
});
