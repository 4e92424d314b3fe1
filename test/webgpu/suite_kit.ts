/** What suites of random graphs need to know of the WebGPU device. */
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import type { DeviceSuite } from "../kit/device_conformance.ts";
import { openGpu } from "./gpu_kit.ts";

const REFUSAL = /this device computes in f32/;

export const WEBGPU_SUITE: Pick<DeviceSuite, "plugin" | "open" | "tolerance" | "refuses"> = {
  plugin: webgpuPlugin,
  open: openGpu,
  // Four times that of the other devices: adapters sum in orders of their own.
  tolerance: 2e-5,
  refuses: new Map([
    ["quantized_matmul", REFUSAL],
    ["channel_scales", REFUSAL],
  ]),
};
