/** What all routes share: models, batcher, limits, and the count of requests that are worked on. */
import type { Context } from "hono";
import { Batcher } from "../session/inputs/batcher.ts";
import { createRoom, type Room } from "../session/inputs/room.ts";
import { Call } from "./call.ts";
import { HttpError } from "./http_error.ts";
import { createLog, type Log } from "./log.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { type Lease, Models, notReady } from "./models.ts";
import type { Settings } from "./options.ts";
import type { ImageFetching } from "./pictures.ts";
import type { BodyLimits } from "./read_body.ts";
import type { FetchImage } from "./remote_images.ts";
import type { WorkContext } from "./work.ts";

/** Of hono: what the listening side tells of a request, and what middleware leaves for routes. */
export interface ServerEnv {
  Bindings: { readonly address?: string | undefined };
  Variables: { requestId: string; call: Call; refusal: HttpError };
}

export type ServerContext = Context<ServerEnv>;

/** What inputs wait in for being read and for their call. */
export interface Queues {
  readonly batcher: Batcher;
  readonly room: Room;
}

/** Milliseconds of decoding and tokenising in a row. */
const SLICE_MS = 20;

export class Service {
  readonly settings: Settings;
  readonly models: Models;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly fetchImage: ImageFetching;
  ready = false;
  draining = false;
  readonly #shared: Queues;
  /** Accepted requests. */
  readonly #calls = new Set<Call>();
  readonly #idle = new Set<() => void>();

  constructor(settings: Settings, fetchImage: FetchImage | undefined) {
    const { runtime, models, place } = settings;
    this.settings = settings;
    // What waited for its first use would never be ready.
    this.models = new Models(runtime, models, settings.seal ? { lazy: "never" } : {});
    this.log = createLog(settings.log);
    this.metrics = createMetrics({
      waiting: () => this.#shared.batcher.waiting,
      active: () => this.#active(),
      deviceBytes: () => runtime.stats().device.bytesInUse,
      compiled: () => runtime.stats().counters.compiled,
    });
    this.#shared = this.#createQueues();
    this.fetchImage = fetchImage ?? (place.fetches ? "not allowed" : "not possible");
  }

  #createQueues(): Queues {
    const { maxWait, batchMs, maxWaitingBytes } = this.settings;
    const batcher = new Batcher({
      maxWait,
      batchMs,
      now: () => performance.now(),
      onBatch: (report) => this.metrics.batch(report),
    });
    const room = createRoom({
      ...{ waiting: () => batcher.waitingBytes, most: maxWaitingBytes, sliceMs: SLICE_MS },
    });
    return { batcher, room };
  }

  /** What the inputs of a request wait in: the same for all requests, or its own where they may not wait for each other. */
  #queues(): Queues {
    return this.settings.place.sharesCalls ? this.#shared : this.#createQueues();
  }

  /** What the inputs of a request are encoded with. */
  work({ signal, requestId }: Call, lease: Lease): Omit<WorkContext, "outputs"> {
    const { maxText, place } = this.settings;
    const { yields, atOnce, answerBytes } = place;
    return { lease, ...this.#queues(), maxText, signal, requestId, yields, atOnce, answerBytes };
  }

  bodyLimits(signal: AbortSignal): BodyLimits {
    return { most: this.settings.maxBody, signal };
  }

  /** Requests that are worked on; places drop some with their client, and their timers too. */
  #active(): number {
    const now = performance.now();
    for (const call of this.#calls) if (call.isOverdue(now)) call.abandon();
    return this.#calls.size;
  }

  /** Seconds until what waits is done. */
  #retryAfter(): number {
    return Math.max(1, Math.ceil(this.#shared.batcher.predictMs() / 1000));
  }

  /** Accepts a request, or refuses it. @throws HttpError `not_ready`, `shutting_down`, `queue_full`, `invalid_timeout` */
  open(c: ServerContext): Call {
    if (this.draining) {
      throw new HttpError(503, "shutting_down", "The server is being shut down and takes no more requests.", {
        retryAfter: this.#retryAfter(),
      });
    }
    if (!this.ready) throw notReady();
    const { queue, deadline } = this.settings;
    if (this.#calls.size >= queue && this.#active() >= queue) {
      throw new HttpError(
        429,
        "queue_full",
        `The server works on ${this.#calls.size} requests and takes no more at once; ask again after the time in Retry-After.`,
        { retryAfter: this.#retryAfter() },
      );
    }
    const own = timeoutOf(c.req.header("x-request-timeout"), deadline);
    const call = new Call({
      requestId: c.get("requestId"),
      client: c.req.raw.signal,
      deadline: own,
      onEnd: () => {
        this.#calls.delete(call);
        if (this.#calls.size === 0) for (const tell of this.#idle) tell();
      },
    });
    this.#calls.add(call);
    return call;
  }

  /** Resolves when no request is worked on. */
  idle(): Promise<void> {
    if (this.#active() === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const tell = (): void => {
        this.#idle.delete(tell);
        resolve();
      };
      this.#idle.add(tell);
    });
  }
}

/** @throws HttpError `invalid_timeout` */
function timeoutOf(header: string | undefined, most: number): number {
  if (header === undefined) return most;
  const asked = Number(header);
  if (Number.isFinite(asked) && asked > 0) return Math.min(asked, most);
  throw new HttpError(
    400,
    "invalid_timeout",
    "The header X-Request-Timeout must be a number of milliseconds above 0.",
    {
      param: "X-Request-Timeout",
    },
  );
}
