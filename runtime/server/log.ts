/** Lines about requests: what happened and how long it took, nothing of what they hold. */

export interface LogLine {
  /** ISO 8601. */
  readonly time: string;
  readonly level: "info" | "warn" | "error";
  readonly event: string;
  /** Of a request: its id, as the answer's header `X-Request-Id` has it. */
  readonly request?: string;
  readonly method?: string;
  /** The route's pattern, or `unknown`: paths are the clients' to choose. */
  readonly route?: string;
  readonly status?: number;
  readonly ms?: number;
  readonly model?: string;
  readonly items?: number;
  /** Code of a refusal. */
  readonly code?: string;
  /** What an error of the server's own says. */
  readonly message?: string;
}

export type Log = (line: Omit<LogLine, "time">) => void;

export function createLog(write: ((line: LogLine) => void) | undefined): Log {
  return (line) => write?.({ time: new Date().toISOString(), ...line });
}
