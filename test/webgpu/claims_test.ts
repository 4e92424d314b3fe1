/** What the kernels of WebGPU claim; no adapter is asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import type { KernelSpec } from "../../runtime/abi/kernel.ts";
import { type CompileResult, compileGraph } from "../../runtime/compile/compile.ts";
import { type Box, mul, type Shape } from "../../runtime/core/dim.ts";
import { createGraphBuilder, type GraphBuilder, type Node } from "../../runtime/ir/builder.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { hasCode } from "../kit/assertions.ts";

const TARGET = "webgpu-core";

const KERNELS: readonly KernelSpec[] = webgpuPlugin.kernels ?? [];

interface Compiling {
  readonly kernels?: readonly KernelSpec[];
  readonly symbols?: Box;
  readonly enabled?: boolean;
}

function compiled(build: (b: GraphBuilder) => void, how: Compiling = {}): CompileResult {
  const { kernels = KERNELS, symbols = { size: { min: 1, max: 9 } }, enabled = true } = how;
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols, interner });
  build(b);
  const capabilities = webgpuPlugin.devices?.[0].targetCapabilities(TARGET) ?? {};
  return compileGraph(b.finish(), { interner, kernels, target: TARGET, capabilities, enabled });
}

const stepsOf = ({ artifact }: CompileResult): readonly string[] => artifact.steps.map(({ kernel }) => kernel);

/** Kernels of an attention of a value with itself. */
const attentionOf = (shape: (dims: GraphBuilder["dims"]) => Shape): readonly string[] =>
  stepsOf(
    compiled((b) => {
      const x = b.input("x", shape(b.dims));
      b.output("y", b.attention(x, x, x, { scale: 1 }));
    }),
  );

test("webgpu: attention takes a number of heads that is a symbol, and refuses such a width", () => {
  assert.deepEqual(
    attentionOf(({ size }) => [2, 4, size, 8]),
    ["attention/attention"],
  );
  assert.throws(
    () => attentionOf(({ size }) => [2, 4, 2, size]),
    hasCode("no_kernel", /attention: its head_dim must be known when it is compiled/),
  );
});

test("webgpu: attention goes in tiles where they keep a card busy", () => {
  const gridOf = (heads: number, tokens: number): unknown => {
    const { artifact } = compiled((b) => {
      const x = b.input("x", [1, tokens, heads, 64]);
      b.output("y", b.attention(x, x, x, { scale: 1 }));
    });
    return artifact.steps[0].grid;
  };
  // Blocks of 64 queries in tiles, of 32 otherwise.
  assert.equal(gridOf(66, 100), 66 * 2);
  assert.equal(gridOf(65, 100), 65 * 4);
  assert.equal(gridOf(400, 32), 400);
  assert.equal(gridOf(400, 33), 400);
});

const WIDTH = 256;
/** Sums long enough for workgroups to share them. */
const K = 1024;
const norm = (b: GraphBuilder, x: Node, width = WIDTH): Node =>
  b.layerNorm(x, b.weight("scale", [width]), b.weight("shift", [width]), 1e-6);

/** A residual stream: x + y w^T, its norm, and the sum itself for later. */
function residual(b: GraphBuilder, width = WIDTH): void {
  const [x, y] = [b.input("x", [b.dims.size, width]), b.input("y", [b.dims.size, K])];
  const sum = b.add(b.matmul(y, b.weight("w", [width, K]), { transposeB: true }), x);
  b.output("normed", norm(b, sum, width));
  b.output("sum", sum);
}

test("webgpu: a norm joins the launch that adds a product's parts, unless ops are covered alone", () => {
  assert.deepEqual(stepsOf(compiled(residual)), ["row_join/matmul_add", "row_join/layer_norm"]);
  // Without the kernel, as where it was put aside, and op by op, nothing is joined.
  const others = KERNELS.filter(({ name }) => name !== "row_join");
  const alone = ["matmul/matmul_add", "matmul/matmul_add_sum", "rows/layer_norm"];
  assert.deepEqual(stepsOf(compiled(residual, { kernels: others })), alone);
  assert.ok(stepsOf(compiled(residual, { enabled: false })).every((name) => !name.startsWith("row_join/")));
});

test("webgpu: products that are never split, long rows, and norms of parts of a value are not joined", () => {
  const symbols = { size: { min: 12_000, max: 16_000 } };
  assert.deepEqual(stepsOf(compiled(residual, { symbols })), ["matmul/matmul_add", "rows/layer_norm"]);
  assert.deepEqual(stepsOf(compiled((b) => residual(b, 2048))), ["row_join/matmul_add", "row_join/layer_norm"]);
  const long = ["matmul/matmul_add", "matmul/matmul_add_sum", "rows/layer_norm"];
  assert.deepEqual(stepsOf(compiled((b) => residual(b, 2049))), long);
  const added = (read: (b: GraphBuilder, sum: Node) => Node, columns = 2 * WIDTH, rows?: number): readonly string[] =>
    stepsOf(
      compiled((b) => {
        const shape = [rows ?? b.dims.size, columns];
        const sum = b.add(b.input("x", shape), b.input("y", shape));
        b.output("sum", sum);
        b.output("normed", norm(b, read(b, sum)));
      }),
    );
  const apart = ["elementwise/add", "rows/layer_norm"];
  assert.deepEqual(
    added((b, sum) => b.slice(sum, 1, 0, WIDTH)),
    apart,
  );
  const turned = added((b, sum) => b.transpose(b.reshape(sum, [b.dims.size, 2, WIDTH]), [1, 0, 2]));
  assert.deepEqual(turned, ["elementwise/add", "copy/copy", "rows/layer_norm"]);
  const once = (b: GraphBuilder, sum: Node): Node => b.broadcastTo(b.slice(sum, 0, 0, 1), [2, WIDTH]);
  assert.deepEqual(added(once, WIDTH, 2), apart);
  // What a norm makes large is not only the sums' own.
  assert.deepEqual(
    stepsOf(
      compiled((b) => {
        const row = b.unary("tanh", b.add(b.input("x", [b.dims.size, WIDTH]), b.weight("bias", [WIDTH])));
        b.output("normed", norm(b, row));
      }),
    ),
    ["elementwise/add_tanh", "rows/layer_norm"],
  );
  // The same numbers in shorter rows.
  assert.deepEqual(
    added((b, sum) => b.reshape(sum, [mul(2, b.dims.size), WIDTH])),
    apart,
  );
});

test("webgpu: a claim of someone else is left alone, also where it names the kernel that joins", () => {
  const [elementwise] = KERNELS.filter(({ name }) => name === "elementwise");
  const foreign: KernelSpec = {
    ...elementwise,
    name: "@someone/sum",
    claim: (context, node) =>
      elementwise.claim(context, node).flatMap((offer) => {
        if ("reason" in offer) return [];
        const { emit } = offer;
        const cost = { flops: 0, bytes: 0, launches: 0 };
        return [{ ...offer, kernel: "@someone/sum", joinedBy: "row_join", cost, emit: (e) => emit(e) }];
      }),
  };
  const sum = (b: GraphBuilder): void => {
    const added = b.add(b.input("x", [b.dims.size, WIDTH]), b.input("y", [b.dims.size, WIDTH]));
    b.output("sum", added);
    b.output("normed", norm(b, added));
  };
  assert.deepEqual(stepsOf(compiled(sum)), ["row_join/layer_norm"]);
  assert.deepEqual(stepsOf(compiled(sum, { kernels: [...KERNELS, foreign] })), ["@someone/sum/add", "rows/layer_norm"]);
});
