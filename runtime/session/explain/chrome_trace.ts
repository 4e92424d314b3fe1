/**
 * Spans as events for Perfetto (ui.perfetto.dev) and chrome://tracing: the Trace Event Format, complete events, in bounded
 * memory however long it goes on.
 * https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
import type { Span, TraceSink } from "../../core/trace.ts";

export interface TraceEvent {
  readonly name: string;
  readonly ph: "X" | "M";
  readonly pid: number;
  readonly tid: number;
  /** Microseconds of the host's clock. */
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** A sink that hands out events. */
export interface TraceEvents extends TraceSink {
  /** Events of what is complete, and of all that came with `rest`. */
  take(rest?: boolean): readonly TraceEvent[];
  /** The names of the process and its tracks so far, for a file that begins anew. */
  names(): readonly TraceEvent[];
}

const PROCESS = 1;
/** Track for what happens outside of calls. */
const LOADING = 1;

/** Spans of calls that go on; those of the oldest are handed out beyond. */
const MOST_PENDING = 16_384;

/** Whole nanoseconds, so that what is inside of something else does not seem to begin with it. */
const microseconds = (ms: number): number => Math.round(ms * 1e6) / 1e3;

/** Names that need no kind before them: the kind says what was done, the name for whom. */
const titleOf = ({ kind, name }: Span): string => (kind === "pass" || kind === "launches" ? name : `${kind} ${name}`);

/** Spans that come last of a call; reading items is a call of its own. */
const isLast = ({ kind, name }: Span): boolean => kind === "request" || (kind === "prepare" && name === "items");

function eventOf(span: Span, tid: number): TraceEvent {
  const { kind, begin, end, requestId, tag, dims, figures } = span;
  const request = requestId === undefined ? {} : { request: requestId };
  return {
    name: titleOf(span),
    cat: kind,
    ph: "X",
    pid: PROCESS,
    tid,
    ts: microseconds(begin),
    dur: microseconds(end - begin),
    args: { ...request, ...(tag === undefined ? {} : { tag }), ...dims, ...figures },
  };
}

const named = (name: string, tid: number, text: string): TraceEvent => ({
  name,
  ph: "M",
  pid: PROCESS,
  tid,
  args: { name: text },
});

/** Loading has a track of its own; calls share others, of which there are as many as calls that overlap. */
export function createTraceEvents(): TraceEvents {
  /** Spans of calls that go on, the oldest call first. */
  const pending = new Map<string, Span[]>();
  let waiting = 0;
  let ready: TraceEvent[] = [];
  /** When each track of calls is free. */
  const free: number[] = [];

  const nameOf = (track: number): TraceEvent => named("thread_name", LOADING + 1 + track, `calls ${track + 1}`);
  const head = [named("process_name", LOADING, "fovea"), named("thread_name", LOADING, "loading")];

  const trackFor = (begin: number, end: number): number => {
    const found = free.findIndex((since) => since <= begin);
    const track = found === -1 ? free.length : found;
    if (found === -1) ready.push(nameOf(track));
    free[track] = end;
    return LOADING + 1 + track;
  };
  const handOut = (requestId: string, spans: readonly Span[]): void => {
    pending.delete(requestId);
    waiting -= spans.length;
    let [begin, end] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const span of spans) [begin, end] = [Math.min(begin, span.begin), Math.max(end, span.end)];
    const tid = trackFor(begin, end);
    // Those around others come first.
    for (const span of [...spans].sort((a, b) => a.begin - b.begin || b.end - a.end)) ready.push(eventOf(span, tid));
  };
  return {
    span: (span) => {
      const { requestId } = span;
      if (requestId === undefined) return void ready.push(eventOf(span, LOADING));
      const own = pending.get(requestId) ?? [];
      own.push(span);
      waiting++;
      pending.set(requestId, own);
      if (isLast(span)) handOut(requestId, own);
      else if (waiting > MOST_PENDING) for (const [oldest, spans] of pending) return handOut(oldest, spans);
    },
    take: (rest = false) => {
      if (rest) for (const [requestId, spans] of pending) handOut(requestId, spans);
      const events = ready;
      ready = [];
      return events;
    },
    names: () => [...head, ...free.map((_, track) => nameOf(track))],
  };
}
