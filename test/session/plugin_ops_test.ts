/** Ops that plugins bring: what they mean follows from their own expansion, beside kernels that do not know them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, definePlugin } from "../../mod.ts";
import type { GraphBuilder } from "../../runtime/ir/builder.ts";
import type { OpRow } from "../../runtime/ir/node.ts";

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
