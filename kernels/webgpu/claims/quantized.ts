/** Products of integers, which this device does not compute. */
import type { KernelSpec } from "../../../runtime/abi/kernel.ts";

const REASON =
  "this device computes in f32: the codes of rows follow from divisions, which adapters may round as they like. Keep the weights as f16 or bf16 here.";

export const QUANTIZED_KERNEL: KernelSpec = {
  name: "quantized",
  device: "webgpu",
  reads: [],
  claim: (_, node) =>
    node.op === "quantized_matmul" || node.op === "channel_scales"
      ? [{ kernel: "quantized", node, reason: REASON }]
      : [],
};
