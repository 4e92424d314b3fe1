/** Spans of loading: what a trace sink is told of a compile. */
import type { PassReport } from "../../compile/pass_clock.ts";
import type { TraceSink } from "../../core/trace.ts";

export interface CompileTimes {
  readonly tag: string;
  /** In words, such as `batch 2..8`. */
  readonly range: string;
  /** Milliseconds of the host's clock. */
  readonly begin: number;
  readonly end: number;
  readonly passes: readonly PassReport[];
}

/** Tells one compile and its passes. */
export function traceCompile(trace: TraceSink | undefined, { tag, range, begin, end, passes }: CompileTimes): void {
  if (trace === undefined) return;
  trace.span({ kind: "compile", name: `${tag} ${range}`, tag, begin, end });
  for (const { name, begin: from, ms } of passes) trace.span({ kind: "pass", name, tag, begin: from, end: from + ms });
}
