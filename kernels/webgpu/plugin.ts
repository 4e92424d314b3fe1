/**
 * The WebGPU device and its kernels.
 * @module
 */
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { ATTENTION_KERNEL } from "./claims/attention.ts";
import { COPY_KERNEL } from "./claims/copy.ts";
import { ELEMENTWISE_KERNEL } from "./claims/elementwise.ts";
import { LOOKUP_KERNEL } from "./claims/lookup.ts";
import { MATMUL_KERNEL } from "./claims/matmul.ts";
import { QUANTIZED_KERNEL } from "./claims/quantized.ts";
import { RESAMPLE_KERNEL } from "./claims/resample.ts";
import { ROTARY_KERNEL } from "./claims/rotary.ts";
import { ROW_JOIN_KERNEL } from "./claims/row_join.ts";
import { ROWS_KERNEL } from "./claims/rows.ts";
import { STORED_KERNEL } from "./claims/stored.ts";
import { WEBGPU_DEVICE } from "./device/spec.ts";
import { SOURCE_DIGEST } from "./source_digest.ts";

/** Device `webgpu` with targets `webgpu-core` and `webgpu-matrix`, and its kernels. */
export const webgpuPlugin: Plugin = definePlugin({
  name: "@fovea/webgpu",
  version: "0.1.0",
  abi: ABI_VERSION,
  revision: SOURCE_DIGEST,
  devices: [WEBGPU_DEVICE],
  kernels: [
    MATMUL_KERNEL,
    ATTENTION_KERNEL,
    ROTARY_KERNEL,
    ROWS_KERNEL,
    ROW_JOIN_KERNEL,
    ELEMENTWISE_KERNEL,
    LOOKUP_KERNEL,
    RESAMPLE_KERNEL,
    STORED_KERNEL,
    COPY_KERNEL,
    QUANTIZED_KERNEL,
  ],
});
