/** What the kernels of WebGPU claim; no adapter is asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import { compileGraph } from "../../runtime/compile/compile.ts";
import type { Shape } from "../../runtime/core/dim.ts";
import { createGraphBuilder, type GraphBuilder } from "../../runtime/ir/builder.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { hasCode } from "../kit/assertions.ts";

const TARGET = "webgpu-core";

/** Kernels of an attention of a value with itself. */
function attentionOf(shape: (dims: GraphBuilder["dims"]) => Shape): readonly string[] {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: { size: { min: 1, max: 9 } }, interner });
  const x = b.input("x", shape(b.dims));
  b.output("y", b.attention(x, x, x, { scale: 1 }));
  const capabilities = webgpuPlugin.devices?.[0].targetCapabilities(TARGET) ?? {};
  const { artifact } = compileGraph(b.finish(), {
    ...{ interner, kernels: webgpuPlugin.kernels ?? [], target: TARGET, capabilities, enabled: true },
  });
  return artifact.steps.map(({ kernel }) => kernel);
}

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
