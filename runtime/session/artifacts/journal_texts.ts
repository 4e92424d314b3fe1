/** What a journal tells about a compile: its passes and its claims. */
import type { CompileReport } from "../../compile/compile.ts";
import type { PassReport } from "../../compile/pass_clock.ts";
import type { Journal } from "./journal.ts";

/** What was compiled. */
export interface CompiledRange {
  readonly tag: string;
  /** In words, such as `batch 2..8`. */
  readonly range: string;
  readonly report: CompileReport;
  /** Tracing, then the compiler's own. */
  readonly passes: readonly PassReport[];
}

/** Equal texts once, with their number. */
function counted(texts: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].map(([text, count]) => (count === 1 ? text : `${text} (${count} times)`));
}

/** Tells the topics `passes` and `claims`, where somebody listens. */
export function tellCompile(journal: Journal, { tag, range, report, passes }: CompiledRange): void {
  if (journal.wants("passes")) {
    const times = passes.map(({ name, ms }) => `${name} ${ms.toFixed(1)} ms`);
    const rules = Object.entries(report.rules).map(([name, count]) => `${name} x${count}`);
    const applied = rules.length === 0 ? "no rule applied" : `rules: ${rules.join(", ")}`;
    journal.tell({ topic: "passes", tag, text: `${range}: ${times.join(", ")}; ${applied}` });
  }
  if (!journal.wants("claims")) return;
  const taken = report.claimed.trimEnd().split("\n");
  const lost = report.losing.map(({ kernel, output }) => `not taken: ${kernel} for "${output}"`);
  const refused = report.refusals.map(({ kernel, op, reason }) => `${kernel} refused "${op}": ${reason}`);
  for (const text of [...taken, ...counted(lost), ...counted(refused)]) {
    journal.tell({ topic: "claims", tag, text: `${range}: ${text}` });
  }
}
