/**
 * The plugin contract: what devices, kernels, encoders and ops of a plugin are, and helpers for their authors.
 * @module
 */
export type { AttentionOptions } from "../ir/builder.ts";
export type { Comparisons, SymbolDim } from "../ir/comparisons.ts";
export type { Graph, GraphOutput } from "../ir/graph.ts";
export type { Attribute, Attributes, Inferred, Make, OpKind, OpRow } from "../ir/node.ts";
export type { ElementwiseOp } from "../ir/ops.ts";
export * from "./artifact.ts";
export * from "./claims/mod.ts";
export * from "./config.ts";
export * from "./device.ts";
export * from "./encoder.ts";
export * from "./feature_projector.ts";
export * from "./glue.ts";
export * from "./image.ts";
export * from "./inputs.ts";
export * from "./kernel.ts";
export * from "./patch_images.ts";
export * from "./pixels.ts";
export * from "./plans.ts";
export * from "./plugin.ts";
export * from "./processor_files.ts";
export * from "./rotary_config.ts";
export * from "./sentence_config.ts";
export * from "./videos.ts";
