/** What a server is asked to serve, and within which limits. */
import { FoveaError } from "../core/diagnostics.ts";
import { checkOptions, type Expected, FUNCTION, isObject, TEXT } from "../session/check.ts";
import { BEARER_TOKENS, HOSTS, ORIGINS } from "../session/check_http.ts";
import type { Encoder, LoadOptions, ModelSource, Runtime } from "../session.ts";
import type { LogLine } from "./log.ts";
import type { ServedModel } from "./models.ts";

/** What `createApp` takes. */
export interface ServerOptions {
  /** Loads the models and computes; it stays the caller's to close. */
  readonly runtime: Runtime;
  /** What is served, by the names that requests use. */
  readonly models: Readonly<Record<string, ServedModel>>;
  /** Milliseconds that an input waits at most for others to share its call with; 4 unless given. */
  readonly maxWait?: number;
  /** Predicted milliseconds of a call that no further input is added to; 100 unless given. */
  readonly batchMs?: number;
  /** Requests that may be worked on or wait at once; more are refused with 429. 256 unless given. */
  readonly queue?: number;
  /** Milliseconds from a request's arrival until it is ended with 504; 30,000 unless given. The header `X-Request-Timeout` asks for less. */
  readonly deadline?: number;
  /** Most bytes of a body; 32 MiB unless given. */
  readonly maxBody?: number;
  /** Most characters of a text, which is tokenised as a whole; 100,000 unless given. */
  readonly maxText?: number;
  /** Bytes of decoded pictures that may wait; reading pauses beyond. 256 MiB unless given. */
  readonly maxWaitingBytes?: number;
  /** Bearer tokens, any of which opens `/v1/*` and `/metrics`. Everybody may ask unless given. */
  readonly tokens?: readonly string[];
  /** Most requests of a client, told apart by its address, in a window of milliseconds. None unless given. */
  readonly rateLimit?: { readonly requests: number; readonly windowMs: number };
  /** Origins whose pages may ask; none unless given. `*` is everybody. */
  readonly cors?: readonly string[];
  /**
   * Hosts that pictures are fetched from: `images.example.com`, or `*.example.com` for all below it, with `:port` for another than
   * 80 and 443; none unless given.
   */
  readonly allowImagesFrom?: readonly string[];
  /** Of pictures that are fetched: most bytes (16 MiB) and milliseconds (10,000). */
  readonly remoteImages?: { readonly maxBytes?: number; readonly timeoutMs?: number };
  /** Seals the runtime when all models are loaded; true unless given. */
  readonly seal?: boolean;
  /** Told a line about each request, without anything of what it holds. */
  readonly log?: (line: LogLine) => void;
}

/** Options that have a value of their own. */
type Chosen = "maxWait" | "batchMs" | "queue" | "deadline" | "maxBody" | "maxText" | "maxWaitingBytes" | "seal";

/** What a server needs of the runtime that computes. */
export interface ServedRuntime {
  readonly sealed: boolean;
  load(source: ModelSource, options?: LoadOptions): Promise<Encoder>;
  seal(): void;
  stats(): {
    readonly device: { readonly bytesInUse: number };
    readonly counters: { readonly compiled: number };
  };
}

/** With everything that has a value of its own. */
export type Settings = Omit<ServerOptions, "runtime"> &
  Required<Pick<ServerOptions, Chosen>> & {
    readonly runtime: ServedRuntime;
    readonly place: ServerPlace;
  };

/** What the place can do that a server runs in. */
export interface ServerPlace {
  /** False where a request must not wait for another's work, as on Cloudflare Workers. */
  readonly sharesCalls: boolean;
  /** False where no address can be checked. */
  readonly fetches: boolean;
  /** True where a connection ends behind an answer whose request was not read to its end: the client's next one may be lost. */
  readonly readsOn: boolean;
  /** True where a call of the encoder gives others no turn: each input of a request does then. */
  readonly yields: boolean;
  /** Inputs of a request that are read or waited for at once. */
  readonly atOnce: number;
  /** Bytes that an answer may take while it is made. */
  readonly answerBytes: number;
}

/** A process of the server's own. */
const PROCESS: ServerPlace = {
  ...{
    sharesCalls: true,
    fetches: true,
    readsOn: false,
    yields: false,
    atOnce: 64,
    answerBytes: Number.POSITIVE_INFINITY,
  },
};

/** What timers hold, 24 days; longer ones fire at once. */
const LONGEST = 2 ** 31 - 1;
const isTime = (v: unknown, least: number): boolean => typeof v === "number" && v >= least && v <= LONGEST;
export const milliseconds = (least: number): Expected => ({
  text: `milliseconds from ${least} on, at most ${LONGEST}`,
  holds: (v) => isTime(v, least),
});
const whole = (least: number, text: string): Expected => ({
  text: `${text}, a whole number from ${least} on`,
  holds: (v) => Number.isSafeInteger(v) && (v as number) >= least,
});

export const OPTIONS: Readonly<Record<keyof ServerOptions, Expected>> = {
  runtime: { text: "a runtime that createRuntime made", holds: (v) => isObject(v) && typeof v.load === "function" },
  models: {
    text: 'models by name, such as { clip: { source: "./clip" } }',
    holds: (v) =>
      isObject(v) &&
      Object.keys(v).length > 0 &&
      Object.values(v).every((m) => isObject(m) && ("source" in m || "encoder" in m)),
  },
  maxWait: milliseconds(0),
  batchMs: milliseconds(0),
  queue: whole(1, "a number of requests"),
  deadline: milliseconds(1),
  maxBody: whole(1, "bytes"),
  maxText: whole(1, "characters"),
  maxWaitingBytes: whole(1, "bytes"),
  tokens: BEARER_TOKENS,
  rateLimit: {
    text: "an object such as { requests: 600, windowMs: 60000 }",
    holds: isObject,
  },
  cors: ORIGINS,
  allowImagesFrom: HOSTS,
  remoteImages: { text: "an object such as { maxBytes: 1000000, timeoutMs: 5000 }", holds: isObject },
  seal: { text: "true or false", holds: (v) => typeof v === "boolean" },
  log: FUNCTION,
};

const REMOTE: Readonly<Record<"maxBytes" | "timeoutMs", Expected>> = {
  maxBytes: whole(1, "bytes"),
  timeoutMs: milliseconds(1),
};

const MODEL: Readonly<Record<"source" | "load" | "encoder", Expected>> = {
  // Loading says what is wrong with them.
  source: { text: "a model's folder, name or files", holds: () => true },
  load: { text: 'an object such as { dtype: "int8" }', holds: isObject },
  encoder: { text: "an encoder that `load` gave", holds: (v) => isObject(v) && typeof v.encodeItems === "function" },
};

const RATE_LIMIT: Readonly<Record<keyof NonNullable<ServerOptions["rateLimit"]>, Expected>> = {
  requests: whole(1, "a number of requests"),
  windowMs: milliseconds(1),
};

/** @throws FoveaError `invalid_options` for one of these that is not there */
export function checkPresent<Name extends string>(
  of: string,
  options: Readonly<Partial<Record<Name, unknown>>>,
  known: Readonly<Record<Name, Expected>>,
  names: readonly Name[],
): void {
  for (const name of names) {
    if (options[name] !== undefined) continue;
    throw new FoveaError("invalid_options", `${of} needs \`${name}\`: ${known[name].text}.`);
  }
}

/** @throws FoveaError `invalid_options` */
export function checkServerOptions(
  options: Omit<ServerOptions, "runtime"> & { readonly runtime: ServedRuntime },
): Settings {
  checkOptions("createApp", options, OPTIONS);
  if (options.remoteImages !== undefined) checkOptions("createApp's `remoteImages`", options.remoteImages, REMOTE);
  if (options.rateLimit !== undefined) {
    checkOptions("createApp's `rateLimit`", options.rateLimit, RATE_LIMIT);
    checkPresent("createApp's `rateLimit`", options.rateLimit, RATE_LIMIT, ["requests", "windowMs"]);
  }
  checkPresent("createApp", options, OPTIONS, ["runtime", "models"]);
  const unnamed = Object.keys(options.models).find((name) => !TEXT.holds(name));
  if (unnamed !== undefined) throw new FoveaError("invalid_options", "A model has an empty name; give it one.");
  for (const [name, model] of Object.entries(options.models)) {
    checkOptions(`createApp's model "${name}"`, model, MODEL);
    if (!("encoder" in model && "source" in model)) continue;
    throw new FoveaError(
      "invalid_options",
      `createApp's model "${name}" has a source and an encoder; give one of them.`,
    );
  }
  return {
    ...options,
    maxWait: options.maxWait ?? 4,
    batchMs: options.batchMs ?? 100,
    queue: options.queue ?? 256,
    deadline: options.deadline ?? 30_000,
    maxBody: options.maxBody ?? 32 * 2 ** 20,
    maxText: options.maxText ?? 100_000,
    maxWaitingBytes: options.maxWaitingBytes ?? 256 * 2 ** 20,
    seal: options.seal ?? true,
    place: PROCESS,
  };
}
