/** The life of one request: what ends it, and what is let go with it. */
import { HttpError } from "./http_error.ts";
import type { Lease, Models } from "./models.ts";

export interface CallOptions {
  readonly requestId: string;
  /** The connection's own signal: fires when the client leaves. */
  readonly client: AbortSignal;
  /** Milliseconds from now until the call is ended. */
  readonly deadline: number;
  readonly onEnd: () => void;
}

/** Milliseconds behind its deadline after which a call that is still open was dropped by the place it ran in. */
const OVERDUE_MS = 1000;

let over: HttpError | undefined;

/** One for all calls, which each ends with: an error that looks where it was made takes as long as a small part of the work. */
function callOver(): HttpError {
  over ??= new HttpError(499, "call_over", "This call is over already.");
  return over;
}

/** What a route has of a request that was accepted. */
export class Call {
  readonly requestId: string;
  /** Fires when the client left or the time is over; its reason is the refusal. */
  readonly signal: AbortSignal;
  /** Of the log. */
  model: string | undefined;
  items: number | undefined;
  /** True once the body is there: until then a late client is to blame. */
  bodyRead = false;
  readonly #controller = new AbortController();
  readonly #options: CallOptions;
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #overdue: number;
  readonly #leases: Lease[] = [];
  #ended = false;
  /** A stream goes on after its route has answered. */
  #streams = false;

  constructor(options: CallOptions) {
    const { requestId, client, deadline } = options;
    this.#options = options;
    this.requestId = requestId;
    this.signal = this.#controller.signal;
    const onClient = (): void => {
      // The connection's signal may fire for an answer that was given as well, and goes with its request.
      if (!this.#ended) this.#controller.abort(new HttpError(499, "client_left", "The client left before its answer."));
    };
    client.addEventListener("abort", onClient, { once: true });
    this.#overdue = performance.now() + deadline + OVERDUE_MS;
    this.#timer = setTimeout(() => this.#controller.abort(this.#late()), deadline);
    if (client.aborted) onClient();
  }

  #late(): HttpError {
    const { deadline } = this.#options;
    if (!this.bodyRead) {
      return new HttpError(
        408,
        "body_timeout",
        `The body did not arrive within ${deadline} ms; send it faster, or less.`,
      );
    }
    return new HttpError(
      504,
      "deadline_exceeded",
      `The request was not done within ${deadline} ms; send fewer inputs, allow it more time, or ask again when the server has less to do.`,
    );
  }

  /** Borrows a model until the call ends. @throws HttpError as {@link Models.lend}; the signal's reason once it ended */
  lend(models: Models, name: string | undefined): Lease {
    // Nobody would give it back.
    this.signal.throwIfAborted();
    const lease = models.lend(name);
    this.#leases.push(lease);
    this.model = lease.name;
    return lease;
  }

  /** The route's answer is a stream, which ends the call itself. */
  keepOpen(): void {
    this.#streams = true;
  }

  /** The route has answered. */
  answered(): void {
    if (!this.#streams) this.end();
  }

  /** Lets everything go; what still runs for the call is stopped. */
  end(): void {
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#ended = true;
    this.#controller.abort(callOver());
    this.#release();
  }

  /** Whether its own timer should have ended it. */
  isOverdue(now: number): boolean {
    return now > this.#overdue;
  }

  /** Lets a call go of which nothing runs any more; timers and signals of another request may not be touched. */
  abandon(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
  }

  #release(): void {
    for (const lease of this.#leases) lease.release();
    this.#options.onEnd();
  }
}
