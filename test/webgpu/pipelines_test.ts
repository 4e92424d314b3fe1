/** Pipelines on a pretended device, whose compiler refuses as often as it is told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPipelines } from "../../kernels/webgpu/device/pipelines.ts";
import { storedKernel } from "../../kernels/webgpu/emit/stored.ts";

function pretend(refusals: number) {
  let asked = 0;
  const device = {
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createShaderModule: () => ({}),
    pushErrorScope: () => {},
    popErrorScope: async () => (asked < refusals ? { message: "null character found\nat 1:1" } : null),
    createComputePipelineAsync: async () => {
      if (asked++ < refusals) throw new Error("the pipeline is invalid");
      return {};
    },
  };
  return { pipelines: createPipelines(device as unknown as GPUDevice, 2 ** 28), asked: () => asked };
}

const CODE = new Map([["blob", storedKernel("f16", "read")]]);

test("a shader that is refused is compiled once more", async () => {
  const { pipelines, asked } = pretend(1);
  assert.equal(await pipelines.load(CODE), 1);
  assert.deepEqual([asked(), pipelines.made, pipelines.has("blob")], [2, 1, true]);
});

test("a shader that is refused twice is refused with the compiler's first line", async () => {
  const { pipelines } = pretend(2);
  await assert.rejects(pipelines.load(CODE), {
    code: "invalid_code",
    message: /^The adapter refused the kernel \S+ \(code blob blob\): null character found\.$/,
  });
  assert.deepEqual([pipelines.made, pipelines.has("blob")], [0, false]);
  assert.equal(await pipelines.load(CODE), 1);
});
