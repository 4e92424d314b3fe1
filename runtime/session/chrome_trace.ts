/**
 * Spans as a file for Perfetto (ui.perfetto.dev) and chrome://tracing: the Trace Event Format, complete events.
 * https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
import type { Span, TraceSink } from "../core/trace.ts";

/** A sink that keeps what it is told. */
export interface TraceRecorder extends TraceSink {
  readonly spans: readonly Span[];
}

export function createTraceRecorder(): TraceRecorder {
  const spans: Span[] = [];
  return { spans, span: (span) => void spans.push(span) };
}

interface TraceEvent {
  readonly name: string;
  readonly ph: "X" | "M";
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

const PROCESS = 1;
/** Thread of the file for what happens outside of calls; calls have one each. */
const LOADING = 1;

const microseconds = (ms: number): number => Math.round(ms * 1e3);

/** Names that need no kind before them: the kind says what was done, the name for whom. */
const titleOf = ({ kind, name }: Span): string => (kind === "pass" || kind === "launches" ? name : `${kind} ${name}`);

/** The whole file. Times begin with the earliest span; spans of one call share a thread. */
export function chromeTrace(spans: readonly Span[]): { readonly traceEvents: readonly TraceEvent[] } {
  const origin = Math.min(...spans.map((s) => s.begin));
  const threads = new Map<string | undefined, number>([[undefined, LOADING]]);
  const threadOf = (requestId: string | undefined): number => {
    const tid = threads.get(requestId) ?? threads.size + LOADING;
    threads.set(requestId, tid);
    return tid;
  };
  const events = [...spans]
    // Those around others come first.
    .sort((a, b) => a.begin - b.begin || b.end - a.end)
    .map((span): TraceEvent => {
      const { kind, begin, end, requestId, tag, dims, figures } = span;
      return {
        name: titleOf(span),
        cat: kind,
        ph: "X",
        pid: PROCESS,
        tid: threadOf(requestId),
        ts: microseconds(begin - origin),
        dur: microseconds(end - begin),
        args: { ...(tag === undefined ? {} : { tag }), ...dims, ...figures },
      };
    });
  const named = (name: string, tid: number, text: string): TraceEvent => ({
    name,
    ph: "M",
    pid: PROCESS,
    tid,
    args: { name: text },
  });
  const names = [...threads].map(([requestId, tid]) =>
    named("thread_name", tid, requestId === undefined ? "loading" : `request ${requestId}`),
  );
  return { traceEvents: [named("process_name", LOADING, "fovea"), ...names, ...events] };
}
