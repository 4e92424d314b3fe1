/** Values that several steps of a chain read are computed once, whatever fuses the chain. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { compileGraph } from "../../runtime/compile/compile.ts";
import { evaluateData } from "../../runtime/core/dim_data.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";

/** x, or its product with a weight, squared `squares` times over: bytes of all code, and operations of all steps. */
function squared(
  plugin: Plugin,
  squares: number,
  product: boolean,
): { readonly bytes: number; readonly flops: number } {
  const [device] = plugin.devices ?? [];
  const [target] = device.targets;
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: {}, interner });
  const x = b.input("x", [4, 64], "f32");
  let y = product ? b.matmul(x, b.weight("w", [64, 64])) : x;
  for (let i = 0; i < squares; i++) y = b.mul(y, y);
  b.output("y", y);
  const { artifact, code } = compileGraph(b.finish(), {
    interner,
    kernels: plugin.kernels ?? [],
    target,
    capabilities: device.targetCapabilities(target),
    enabled: true,
    dtype: "f32",
  });
  return {
    bytes: [...code.values()].reduce((n, c) => n + c.length, 0),
    flops: artifact.steps.reduce((n, s) => n + evaluateData(s.flops, {}), 0),
  };
}

for (const plugin of [wasmPlugin, webgpuPlugin]) {
  for (const product of [false, true]) {
    const what = product ? "behind a product" : "by itself";
    test(`${plugin.name}: each square of a chain ${what} is one operation of the code and of the cost`, () => {
      const [four, eight, sixteen] = [4, 8, 16].map((n) => squared(plugin, n, product));
      assert.equal(eight.flops - four.flops, 4 * 4 * 64);
      assert.equal(sixteen.flops - eight.flops, 8 * 4 * 64);
      const perStep = (eight.bytes - four.bytes) / 4;
      assert.ok((sixteen.bytes - eight.bytes) / 8 <= 1.5 * perStep, `${four.bytes}, ${eight.bytes}, ${sixteen.bytes}`);
    });
  }
}
