/** The conformance check of devices on this machine's WebGPU. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import { checkDevice } from "../kit/check_device.ts";

test("the webgpu device passes the check of devices", async () => {
  const found = await checkDevice(webgpuPlugin, { graphs: 3, refuses: ["quantized_matmul", "channel_scales"] });
  assert.deepEqual([found.kind, found.target], ["webgpu", "webgpu-core"]);
  assert.ok(found.compared > 0 && found.worst < 1, JSON.stringify(found));
});
