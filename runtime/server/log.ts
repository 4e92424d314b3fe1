/** Lines about requests: what happened and how long it took, nothing of what they hold. */
import type { HttpError } from "./http_error.ts";

/** One thing that happened, ready to be written as JSON. What is about requests is left out elsewhere. */
export interface LogLine {
  /** When, in ISO 8601. */
  readonly time: string;
  /** Of a request: `error` from status 500 on, `warn` from 400 on. */
  readonly level: "info" | "warn" | "error";
  /** `request`, `stream_failed` (an answer that had begun), `reloaded`, `reload_failed` or `load_failed`. */
  readonly event: string;
  /** Of a request: its id, as the answer's header `X-Request-Id` has it. */
  readonly request?: string;
  /** Of HTTP. */
  readonly method?: string;
  /** The route's pattern, or `unknown`: paths are the clients' to choose. */
  readonly route?: string;
  /** Of the answer. */
  readonly status?: number;
  /** Milliseconds until the answer, or the begin of a stream. */
  readonly ms?: number;
  /** Name of the model that was asked for, or loaded again. */
  readonly model?: string;
  /** Inputs of the request. */
  readonly items?: number;
  /** Code of a refusal. */
  readonly code?: string;
  /** What an error of the server's own says, which clients do not hear. */
  readonly message?: string;
}

export type Log = (line: Omit<LogLine, "time">) => void;

export function createLog(write: ((line: LogLine) => void) | undefined): Log {
  return (line) => write?.({ time: new Date().toISOString(), ...line });
}

/** What a line says of a refusal: of errors of the server's own, what they are, which clients do not hear. */
export function failureOf({ status, code, cause }: HttpError): Pick<LogLine, "level" | "code" | "message"> {
  const own = (status >= 500 || code === "sealed") && cause !== undefined;
  return {
    level: status >= 500 ? "error" : "warn",
    code,
    ...(own ? { message: cause instanceof Error ? cause.message : String(cause) } : {}),
  };
}
