import type { KernelSpec } from "../../../runtime/abi/kernel.ts";

export const ATTENTION_KERNEL: KernelSpec = { name: "attention", device: "wasm", reads: [], claim: () => [] };
