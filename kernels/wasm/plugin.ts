/**
 * The first-party kernels for WebAssembly: emitted from TypeScript, one small module for each step.
 * @module
 */
import { definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { ATTENTION_KERNEL } from "./claims/attention.ts";
import { CHANNEL_SCALES_KERNEL } from "./claims/channel_scales.ts";
import { COPY_KERNEL } from "./claims/copy.ts";
import { ELEMENTWISE_KERNEL } from "./claims/elementwise.ts";
import { LOOKUP_KERNELS } from "./claims/lookup.ts";
import { MATMUL_KERNEL } from "./claims/matmul.ts";
import { QUANTIZED_KERNEL } from "./claims/quantized.ts";
import { RESAMPLE_KERNEL } from "./claims/resample.ts";
import { ROTARY_KERNEL } from "./claims/rotary.ts";
import { ROWS_KERNEL } from "./claims/rows.ts";
import { STORED_KERNEL } from "./claims/stored.ts";
import { WASM_DEVICE } from "./device/device.ts";
import { SOURCE_DIGEST } from "./source_digest.ts";

/** Device `wasm` with targets `wasm-relaxed` and `wasm-simd128`, and its kernels. */
export const wasmPlugin: Plugin = definePlugin({
  name: "@fovea/wasm",
  version: "0.1.0",
  abi: 1,
  revision: SOURCE_DIGEST,
  devices: [WASM_DEVICE],
  kernels: [
    MATMUL_KERNEL,
    QUANTIZED_KERNEL,
    ATTENTION_KERNEL,
    ROWS_KERNEL,
    ROTARY_KERNEL,
    ELEMENTWISE_KERNEL,
    ...LOOKUP_KERNELS,
    RESAMPLE_KERNEL,
    COPY_KERNEL,
    STORED_KERNEL,
    CHANNEL_SCALES_KERNEL,
  ],
});
