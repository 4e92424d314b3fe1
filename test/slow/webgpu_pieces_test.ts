/** A fixture's model under limits smaller than its tables and weights, on a driver on the processor: half a minute. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import { createRuntime, type Plugin, type Tensor } from "../../mod.ts";
import { bertPlugin } from "../../plugins/bert/plugin.ts";
import { refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { maxDifference } from "../kit/run_graph.ts";
import { deviation, FIXTURES, readCase } from "../kit/tower_fixtures.ts";
import { limitedWebGpu } from "../webgpu/limited_kit.ts";

test("a model of pieces has the bits of one of whole weights, which are within the reference's", async () => {
  const folder = `${FIXTURES}/bert-legacy`;
  const { inputs, outputs } = readCase(`${folder}/case-b2.safetensors`);
  const results = async (webgpu: Plugin): Promise<Readonly<Record<string, Tensor>>> => {
    const runtime = await createRuntime({ device: "webgpu", plugins: [webgpu, bertPlugin] });
    try {
      return (await (await runtime.load(folder)).encode(inputs)) as Readonly<Record<string, Tensor>>;
    } finally {
      await runtime.close();
    }
  };
  const usual = await results(webgpuPlugin);
  const found = await results(limitedWebGpu({ bytes: 7 * 1024, buffers: 10 }));
  for (const [key, want] of outputs) {
    assert.deepEqual(found[key].data, usual[key].data);
    const values = refTensor("f32", found[key].shape, found[key].data as Float32Array);
    assert.ok(maxDifference(values, want) / deviation(want) <= 2e-5, key);
  }
});
