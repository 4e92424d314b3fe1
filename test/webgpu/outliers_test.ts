/** A model whose activations f16 cannot hold, in f16. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRuntime, type Tensor } from "../../mod.ts";
import { refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { maxDifference } from "../kit/run_graph.ts";
import { deviation, FIXTURES, readCase } from "../kit/tower_fixtures.ts";

test("dinov2-outliers in f16 has no number that overflowed, and the reference's results", async () => {
  const folder = `${FIXTURES}/dinov2-outliers`;
  const runtime = await createRuntime({ device: "webgpu" });
  try {
    const encoder = await runtime.load(folder, { dtype: "f16" });
    const { inputs, outputs } = readCase(`${folder}/case-square.safetensors`);
    const found = (await encoder.encode(inputs)) as Readonly<Record<string, Tensor>>;
    for (const [key, want] of outputs) {
      const values = refTensor("f32", found[key].shape, found[key].data as Float32Array);
      assert.ok(values.data.every(Number.isFinite), key);
      const apart = maxDifference(values, want) / deviation(want);
      assert.ok(apart <= 2e-2 && apart > 2e-5, `${key}: ${apart} standard deviations`);
    }
  } finally {
    await runtime.close();
  }
});
