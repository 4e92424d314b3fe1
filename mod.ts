/** fovea: compiles and runs the encoders of multimodal models. */
export type {
  Capabilities,
  ComponentSpec,
  EncoderSpec,
  KernelSpec,
  PixelImage,
  Plugin,
  Tensor,
  Tensors,
} from "./runtime/abi/mod.ts";
export { ABI_VERSION, definePlugin } from "./runtime/abi/mod.ts";
export type { TraceBreak, TraceBreakKind } from "./runtime/core/diagnostics.ts";
export { FoveaError, KernelError, SealedError, TraceBreakError } from "./runtime/core/diagnostics.ts";
export type { Box, Dim, Interval } from "./runtime/core/dim.ts";
export type { WeightDType } from "./runtime/core/dtype.ts";
export type { RangeList, RangeSpec } from "./runtime/core/range.ts";
export type { Relation } from "./runtime/core/relation.ts";
export type { Span, SpanKind, TraceSink } from "./runtime/core/trace.ts";
export { type Deadline, DeadlineError } from "./runtime/exec/forward_context.ts";
export type { GraphBuilder, Node } from "./runtime/ir/builder.ts";
export type { SymbolDim } from "./runtime/ir/comparisons.ts";
export * from "./runtime/session.ts";
