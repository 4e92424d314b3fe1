/** What a trace sink receives: spans of time, from loading a model to reading back the results of a call. */
import type { Bindings } from "./dim.ts";

/**
 * What the time went into. Of a call: `request` is the whole of it, `prepare` makes tensors of pictures, texts and sound,
 * `plan` dims and index tensors, `link` launches over one arena, `write` copies inputs to the device, `wait` is time behind
 * other calls, `launches` computes one component call, `read` copies results back, `device` is a component call by the clock
 * of a device that has one, placed so that the last of a call ends with its `read`. Before any call: `load` is the whole
 * loading of a model, `compile` one component, `pass` one stage of the compiler, `weights` reading and packing one
 * instance's with their `bytes` (of a call, inside its `link`, where they waited for their first use), `proof` one artifact's.
 */
export type SpanKind =
  | "request"
  | "prepare"
  | "plan"
  | "link"
  | "write"
  | "wait"
  | "launches"
  | "read"
  | "device"
  | "load"
  | "compile"
  | "pass"
  | "weights"
  | "proof";

/** A finished piece of time. Spans of one request may overlap with those of others. */
export interface Span {
  /** What the time went into. */
  readonly kind: SpanKind;
  /** For people: what exactly, such as a component's tag with its instance, or a tower. */
  readonly name: string;
  /** Milliseconds of the host's clock. */
  readonly begin: number;
  /** Milliseconds of the same clock. */
  readonly end: number;
  /** The call that it belongs to; absent while loading. */
  readonly requestId?: string;
  /** Tag of the component, where it is one component's. */
  readonly tag?: string;
  /** Sizes of the component's symbols. */
  readonly dims?: Bindings;
  /** Figures such as `bytes`, `launches` and `flops`. */
  readonly figures?: Readonly<Record<string, number>>;
}

/** Takes spans as they end; nothing that it throws is caught. */
export interface TraceSink {
  /** Called with each span when it has ended. */
  span(span: Span): void;
}
