/** What `createRuntime` tells of its work, and to whom. */
import { FoveaError } from "../core/diagnostics.ts";
import { type JournalEvent, LOG_TOPICS, type LogTopic } from "./artifacts/journal.ts";
import { checkOptions, didYouMean, type Expected, FUNCTION, foundText } from "./check.ts";

/** What is told while a runtime works, and to whom. */
export interface LogOptions {
  /** What is told; texts of other topics are not made. */
  readonly topics: readonly LogTopic[];
  /** Called at once for each event, while the work that it tells of goes on. */
  readonly write: (event: JournalEvent) => void;
}

const LOG_OPTIONS: Readonly<Record<keyof LogOptions, Expected>> = {
  topics: { text: `a list of ${LOG_TOPICS.join(", ")}`, holds: Array.isArray },
  write: FUNCTION,
};

/** @throws FoveaError `invalid_options` */
export function checkLogOptions(log: LogOptions): void {
  checkOptions("createRuntime's `log`", log, LOG_OPTIONS);
  const { topics, write } = log;
  if (topics === undefined || write === undefined) {
    throw new FoveaError(
      "invalid_options",
      `createRuntime's \`log\` has no \`${topics === undefined ? "topics" : "write"}\`; it needs a list of topics, and a function \`write\` that is told.`,
    );
  }
  const odd = topics.find((topic) => !LOG_TOPICS.includes(topic));
  if (odd === undefined) return;
  throw new FoveaError(
    "invalid_options",
    `createRuntime's \`log\` names the topic ${foundText(odd)}; there are ${LOG_TOPICS.join(", ")}.${didYouMean(String(odd), LOG_TOPICS)}`,
  );
}
