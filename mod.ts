/**
 * fovea: compiles and runs the encoders of multimodal models.
 * @module
 */
export type {
  Capabilities,
  ComponentSpec,
  DeviceSpec,
  EncoderSpec,
  GlueLinks,
  ImageSpec,
  KernelSpec,
  PixelImage,
  Plugin,
  Tensor,
  Tensors,
} from "./runtime/abi/mod.ts";
export { ABI_VERSION, definePlugin } from "./runtime/abi/mod.ts";
export type { TraceBreak, TraceBreakKind } from "./runtime/core/diagnostics.ts";
export { FoveaError, KernelError, SealedError, TraceBreakError } from "./runtime/core/diagnostics.ts";
export type { Box, Dim, Interval, Shape } from "./runtime/core/dim.ts";
export type { DType, WeightDType } from "./runtime/core/dtype.ts";
export type { RangeList, RangeSpec } from "./runtime/core/range.ts";
export type { Relation } from "./runtime/core/relation.ts";
export type { Span, SpanKind, TraceSink } from "./runtime/core/trace.ts";
export { type Deadline, DeadlineError } from "./runtime/exec/forward_context.ts";
export type { AttentionOptions, GraphBuilder, Node } from "./runtime/ir/builder.ts";
export type { Comparisons, SymbolDim } from "./runtime/ir/comparisons.ts";
export type { Graph } from "./runtime/ir/graph.ts";
export type { Attributes, OpRow } from "./runtime/ir/node.ts";
export * from "./runtime/session.ts";
