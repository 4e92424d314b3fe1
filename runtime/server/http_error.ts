/** Refusals as HTTP answers, in the shape that clients of OpenAI's API read. */
import { FoveaError, SealedError } from "../core/diagnostics.ts";

/** Statuses that the server answers refusals with. */
export type ErrorStatus = 400 | 401 | 404 | 405 | 408 | 413 | 415 | 429 | 499 | 500 | 502 | 503 | 504;

export interface ErrorBody {
  readonly error: {
    /** What failed, what was found, what to do next. */
    readonly message: string;
    readonly type: string;
    /** The field of the request that is wrong. */
    readonly param: string | null;
    /** Stable, for programs. */
    readonly code: string;
  };
}

/** A client's text for a message; never a payload. */
export const short = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}…` : text);

/** A refusal with its status. */
export class HttpError extends FoveaError {
  /** Status of the answer; 499 where the client left before it. */
  readonly status: ErrorStatus;
  /** The field or header of the request that is wrong, where it is one. */
  readonly param: string | undefined;
  /** Seconds after which another try may go well. */
  readonly retryAfter: number | undefined;

  /**
   * A refusal that clients read.
   * @param message what failed, what was found, what to do next
   */
  constructor(
    status: ErrorStatus,
    code: string,
    message: string,
    more: { readonly param?: string; readonly retryAfter?: number; readonly cause?: unknown } = {},
  ) {
    super(code, message, { cause: more.cause });
    this.name = "HttpError";
    this.status = status;
    this.param = more.param;
    this.retryAfter = more.retryAfter;
  }
}

const TYPES: Readonly<Partial<Record<ErrorStatus, string>>> = {
  401: "authentication_error",
  408: "timeout_error",
  429: "rate_limit_error",
  504: "timeout_error",
};

const typeOf = (status: ErrorStatus): string =>
  TYPES[status] ?? (status >= 500 ? "server_error" : "invalid_request_error");

/** Statuses of errors from below: inputs that a model cannot take, and what was too large for this machine. */
const STATUSES: Readonly<Record<string, ErrorStatus>> = {
  invalid_input: 400,
  no_format: 400,
  not_frozen: 400,
  outside_ranges: 400,
  no_component: 400,
  invalid_options: 400,
  out_of_memory: 413,
  "image.too_large": 413,
  deadline_exceeded: 504,
  closed: 503,
};

/** What a sealed runtime lacks stays so until it is started anew: the inputs are of a form that is not served. */
const notPrepared = (cause: FoveaError): HttpError =>
  new HttpError(
    400,
    "sealed",
    "Inputs of this form and size are not served here: what computes them was not prepared before this server began to answer, and nothing is prepared later. Send another form or size of inputs.",
    { cause },
  );

const isMedia = (code: string): boolean => /^(image|audio|text)\./.test(code);

const UNEXPECTED =
  "The server met an error of its own; its log has it under this request's id (the header X-Request-Id of this answer).";

/** Any error as a refusal. What is not for people is replaced by a sentence that gives nothing away. */
export function httpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof SealedError) return notPrepared(error);
  if (error instanceof FoveaError) {
    const status = STATUSES[error.code] ?? (isMedia(error.code) ? 400 : 500);
    if (status === 500) return new HttpError(500, error.code, UNEXPECTED, { cause: error });
    return new HttpError(status, error.code, error.message, { cause: error });
  }
  return new HttpError(500, "internal_error", UNEXPECTED, { cause: error });
}

export function errorBody({ status, message, code, param }: HttpError): ErrorBody {
  return { error: { message, type: typeOf(status), param: param ?? null, code } };
}

/** An answer of JSON. */
export function errorResponse(error: HttpError): Response {
  const headers = new Headers({ "content-type": "application/json" });
  if (error.retryAfter !== undefined) headers.set("retry-after", String(Math.max(1, Math.ceil(error.retryAfter))));
  // What was not read of the body would be taken for the next request of the connection.
  if (error.status === 413 || error.status === 408) headers.set("connection", "close");
  return new Response(JSON.stringify(errorBody(error)), { status: error.status, headers });
}
