/** Numeric kernels of the reference evaluator: pure functions on plain tensors, independent of graph and kernels. */
export * from "./attention.ts";
export * from "./elementwise.ts";
export * from "./gather.ts";
export * from "./graph.ts";
export * from "./layout.ts";
export * from "./matmul.ts";
export * from "./normalize.ts";
export * from "./reduce.ts";
export { resampleColumns, resampleRows, resampleTable } from "./resample.ts";
export * from "./rotary.ts";
export { isFloat, type RefTensor, refTensor } from "./tensor.ts";
