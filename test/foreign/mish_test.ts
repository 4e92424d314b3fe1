/** The worked example that wins by what it computes: right, and taken by the cover in its default isolation, built-ins enabled. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, type Tensor } from "../../mod.ts";
import { checkKernel } from "../kit/check_kernel.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const EXAMPLE = repositoryPath("examples/kernel-mish");

test("the example passes its check in every isolation", async () => {
  for (const isolation of ["worker", "own-memory", "shared-memory"] as const) {
    const [kernel, ...others] = await checkKernel(EXAMPLE, { isolation });
    assert.deepEqual([kernel.kernel, others], ["mish_layer_norm", []]);
    assert.ok(kernel.points >= 9 && kernel.worst > 0 && kernel.worst < 1);
  }
});

for (const target of ["wasm-simd128", undefined]) {
  test(`the cover takes it in a memory of its own beside the built-in kernels, on ${target ?? "the engine's own target"}`, async () => {
    const runtime = await createRuntime({
      threads: 0,
      ...(target === undefined ? {} : { target }),
      plugins: [EXAMPLE, wasmPlugin],
    });
    try {
      const component = await runtime.compile({
        ...{ tag: "example/mish", symbols: { rows: { min: 1, max: 4096 } } },
        build: (b) => {
          const x = b.input("x", [b.dims.rows, 768]);
          const softplus = b.unary("log", b.add(b.unary("exp", x), b.constant(1)));
          const mish = b.mul(x, b.unary("tanh", softplus));
          b.output("y", b.layerNorm(mish, b.input("scale", [768]), b.input("bias", [768]), 1e-5));
        },
      });
      assert.match(component.explain(), /^ {6}@fovea-examples\/kernel-mish\/mish_layer_norm\//m);
      const vector = (value: (i: number) => number): Tensor => ({
        ...{ dtype: "f32", shape: [768], data: Float32Array.from({ length: 768 }, (_, i) => value(i)) },
      });
      const x = vector((i) => (i - 384) / 16);
      const inputs = { x: { ...x, shape: [1, 768] }, scale: vector(() => 2), bias: vector((i) => i / 768) };
      const { y } = await component.run(inputs);
      const mish = Array.from(x.data as Float32Array, (v) => v * Math.tanh(Math.log1p(Math.exp(v))));
      const mean = mish.reduce((n, v) => n + v, 0) / 768;
      const variance = mish.reduce((n, v) => n + (v - mean) ** 2, 0) / 768;
      for (const [i, found] of (y.data as Float32Array).entries()) {
        const expected = (2 * (mish[i] - mean)) / Math.sqrt(variance + 1e-5) + i / 768;
        assert.ok(Math.abs(found - expected) <= 1e-5, `${i}: ${found}, expected ${expected}`);
      }
    } finally {
      await runtime.close();
    }
  });
}
