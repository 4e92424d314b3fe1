import type { KernelSpec } from "../../../runtime/abi/kernel.ts";

export const MATMUL_KERNEL: KernelSpec = { name: "matmul", device: "wasm", reads: [], claim: () => [] };
