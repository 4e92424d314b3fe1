/**
 * The reference device and its kernel: what every other device is judged by.
 * @module
 */
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { REFERENCE_DEVICE } from "./device.ts";
import { REFERENCE_KERNEL } from "./kernel.ts";
import { SOURCE_DIGEST } from "./source_digest.ts";

/** Device and target `reference`, on the caller's thread: slow and exact. It takes every built-in op, each alone. */
export const referencePlugin: Plugin = definePlugin({
  name: "@fovea/reference",
  version: "0.1.0",
  abi: ABI_VERSION,
  revision: SOURCE_DIGEST,
  devices: [REFERENCE_DEVICE],
  kernels: [REFERENCE_KERNEL],
});
