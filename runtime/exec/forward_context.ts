/** The forward context: what belongs to one call, handed down explicitly from the caller's options to the device. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Bindings } from "../core/dim.ts";
import type { Span, TraceSink } from "../core/trace.ts";

/** When a call must be done: so many milliseconds from its begin, or a point in time. */
export type Deadline = number | Date;

/** What a caller may say about a call. */
export interface CallOptions {
  /** Ends the call within about 20 ms, wherever it is; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Name of the call in errors and traces; the number of the call unless given. */
  readonly requestId?: string;
  /** Work that is not done by then ends with `deadline_exceeded`; work that waits by then never starts. */
  readonly deadline?: Deadline;
  /** Told how the call's time was spent. */
  readonly trace?: TraceSink;
}

/** A span without what the context knows; it ends now unless it says when. */
export type OpenSpan = Omit<Span, "requestId" | "end"> & { readonly until?: number };

export interface ForwardContext {
  readonly requestId: string;
  /** Tower or component that the call is for; its component calls, with the dims of each, stand in the linked program. */
  readonly tag: string;
  /** Fires at the caller's abort and at the deadline; its reason is what the call rejects with. */
  readonly signal: AbortSignal;
  /** Milliseconds of the host's clock. */
  readonly now: () => number;
  /** @throws the reason to stop, as soon as there is one: also of a deadline whose timer had no turn yet. */
  check(): void;
  /** Says what is done from now on, in words that continue "it was ...", for errors. */
  doing(what: () => string): void;
  /** True when somebody traces: per-component times cost a message to the device for each. */
  readonly traced: boolean;
  /** Ends a span and gives it to the sink. */
  span(span: OpenSpan): void;
}

/** A context and what ends it. */
export interface OpenContext extends ForwardContext {
  /** The same call's part for one tower or component. */
  of(tag: string): ForwardContext;
  /** Lets timers and listeners go. */
  close(): void;
}

/** The deadline of a call passed. */
export class DeadlineError extends FoveaError {
  /** Name of the call. */
  readonly requestId: string;
  /** Tower, component or call that was being worked for. */
  readonly tag: string;
  /** Milliseconds from the call's begin until it was stopped. */
  readonly ranMs: number;

  /**
   * Made where a call is stopped.
   * @param doing what it was at, in words that continue "it was ..."
   */
  constructor(requestId: string, tag: string, ranMs: number, allowedMs: number, doing: string) {
    super(
      "deadline_exceeded",
      `Request ${requestId} (${tag}) was stopped at its deadline of ${allowedMs.toFixed(0)} ms: after ${ranMs.toFixed(0)} ms it was ${doing}. Give it a later \`deadline\` or less to encode, or run fewer requests at once.`,
      { exitCode: 1 },
    );
    this.name = "DeadlineError";
    this.requestId = requestId;
    this.tag = tag;
    this.ranMs = ranMs;
  }
}

/** Sizes for messages: ` at batch 2, patches 64`. */
export function dimsText(dims: Bindings): string {
  const sizes = Object.entries(dims).map(([name, value]) => `${name} ${value}`);
  return sizes.length === 0 ? "" : ` at ${sizes.join(", ")}`;
}

/** Timers take no more milliseconds than these: about 24 days. */
const LONGEST_TIMER = 0x7fffffff;

const allowedMs = (deadline: Deadline): number =>
  Math.max(0, deadline instanceof Date ? deadline.getTime() - Date.now() : deadline);

/** What holds where the caller says nothing else. */
export interface CallDefaults {
  readonly requestId: string;
  readonly now: () => number;
  readonly trace?: TraceSink | undefined;
}

/** Opens the context of a call; close it when the call ended. */
export function openContext(tag: string, options: CallOptions, defaults: CallDefaults): OpenContext {
  const { signal, deadline, trace = defaults.trace, requestId = defaults.requestId } = options;
  const { now } = defaults;
  const begin = now();
  const allowed = deadline === undefined ? Number.POSITIVE_INFINITY : allowedMs(deadline);
  const controller = new AbortController();
  let doing = (): string => "about to begin";
  let doingFor = tag;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const onAbort = (): void => controller.abort(signal?.reason);
  const expire = (): void => controller.abort(new DeadlineError(requestId, doingFor, now() - begin, allowed, doing()));
  const close = (): void => {
    signal?.removeEventListener("abort", onAbort);
    clearTimeout(timer);
  };
  if (signal?.aborted) onAbort();
  else {
    signal?.addEventListener("abort", onAbort);
    if (allowed <= LONGEST_TIMER) timer = setTimeout(expire, allowed);
  }
  const of = (part: string): ForwardContext => ({
    requestId,
    tag: part,
    signal: controller.signal,
    now,
    traced: trace !== undefined,
    check: () => {
      if (!controller.signal.aborted && now() - begin >= allowed) expire();
      controller.signal.throwIfAborted();
    },
    doing: (what) => {
      doing = what;
      doingFor = part;
    },
    span: ({ until, ...span }) => trace?.span({ ...span, requestId, end: until ?? now() }),
  });
  return { ...of(tag), of, close };
}

/**
 * An error with the request that it broke: which one, of which tower or component, and what was being done. The reason of an
 * abort, which is the caller's own or a DeadlineError, and errors that are not for people stay as they are.
 */
export function inRequest(error: unknown, { requestId, tag, signal }: ForwardContext, where: string): unknown {
  if (signal.aborted && error === signal.reason) return error;
  return error instanceof FoveaError ? error.adding(`This was request ${requestId} (${tag}), ${where}.`) : error;
}

/**
 * Waits for work until there is a reason to stop. The work then goes on for a while: what a device is given later, be it in the
 * same memory, comes behind that.
 * @throws the context's reason to stop
 */
export async function untilStopped(work: Promise<unknown>, { signal, check }: ForwardContext): Promise<void> {
  let stop = (): void => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  signal.addEventListener("abort", stop, { once: true });
  try {
    check();
    await Promise.race([work, stopped]);
    if (!signal.aborted) return;
    // Nobody waits for it any more.
    work.catch(() => {});
    check();
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
