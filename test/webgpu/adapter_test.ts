/** Opening a device of an adapter that refuses one now and then. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openGpuDevice } from "../../kernels/webgpu/device/adapter.ts";

/** Tries until opening ends, where every try fails with `message`. */
async function triesOf(message: string): Promise<number> {
  let tries = 0;
  const adapter = {
    features: new Set<string>(),
    limits: {},
    requestDevice: async () => {
      tries++;
      throw new Error(message);
    },
  };
  const gpu = { requestAdapter: async () => adapter } as unknown as GPU;
  await assert.rejects(
    openGpuDevice(async () => gpu),
    (error: Error) => error.message === message,
  );
  return tries;
}

test("a device is asked for again where a binding lost what it was asked with, and nowhere else", async () => {
  for (const lost of [
    "Invalid feature required: Value 975336293 is invalid for WGPUFeatureName.",
    "WGPU Error (Error): Unexpected chained struct of type SType::975336293 found on DeviceDescriptor chain.",
  ])
    assert.equal(await triesOf(lost), 4);
  assert.equal(await triesOf("the driver has no memory left"), 1);
});
