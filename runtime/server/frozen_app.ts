/** The application of encoders that were frozen: the same routes where nothing is loaded, compiled or fetched. */
import { internal } from "../core/diagnostics.ts";
import type { FrozenEncoder } from "../edge/api.ts";
import { checkOptions, type Expected, isObject } from "../session/check.ts";
import type { Encoder } from "../session.ts";
import { assembleApp } from "./app.ts";
import type { FrozenApp, FrozenAppOptions } from "./frozen_api.ts";
import { checkPresent, checkServerOptions, OPTIONS, type ServedRuntime, type ServerPlace } from "./options.ts";

export type { FrozenApp, FrozenAppOptions } from "./frozen_api.ts";

const isEncoder = (value: unknown): value is FrozenEncoder & Encoder =>
  isObject(value) && typeof value.readItems === "function" && isObject(value.report);

const { tokens, cors, queue, deadline, maxBody, maxText, log } = OPTIONS;

const FROZEN_OPTIONS: Readonly<Record<keyof FrozenAppOptions, Expected>> = {
  models: {
    text: "encoders by name that createEncoder resolved to, such as { clip: encoder }",
    holds: (v) => isObject(v) && Object.keys(v).length > 0 && Object.values(v).every(isEncoder),
  },
  ...{ tokens, cors, queue, deadline, maxBody, maxText, log },
};

/** @throws FoveaError `invalid_options` */
function encodersOf(options: FrozenAppOptions): Readonly<Record<string, FrozenEncoder & Encoder>> {
  checkOptions("createApp", options, FROZEN_OPTIONS);
  checkPresent("createApp", options, FROZEN_OPTIONS, ["models"]);
  return options.models as Readonly<Record<string, FrozenEncoder & Encoder>>;
}

/** Stands for the runtime: what is frozen is sealed, and all that will ever be computed with is there. */
function frozenRuntime(encoders: readonly FrozenEncoder[]): ServedRuntime {
  const bytesInUse = encoders.reduce((sum, { report }) => sum + report.memoryBytes, 0);
  return {
    sealed: true,
    load: () => internal("a frozen application loads no models"),
    seal: () => undefined,
    stats: () => ({ device: { bytesInUse }, counters: { compiled: 0 } }),
  };
}

/**
 * Of places with 128 MB: what one request began ends with it, names cannot be resolved and so not checked, and an answer shares
 * the memory that a body was read into.
 */
const EDGE: ServerPlace = {
  ...{ sharesCalls: false, fetches: false, readsOn: true, yields: true },
  ...{ atOnce: 4, answerBytes: 12 * 2 ** 20 },
};

/**
 * The routes of `fovea serve` (docs/serving.md) for a Worker, and for any place that takes a `fetch`. Requests have calls of their
 * own: what one of them waits for may end with the request that another began.
 * @throws FoveaError `invalid_options`
 */
export function createApp(options: FrozenAppOptions): FrozenApp {
  const encoders = encodersOf(options);
  const settings = checkServerOptions({
    ...{ ...options, queue: options.queue ?? 64, maxBody: options.maxBody ?? 4 * 2 ** 20 },
    runtime: frozenRuntime(Object.values(encoders)),
    models: Object.fromEntries(Object.entries(encoders).map(([name, encoder]) => [name, { encoder }])),
  });
  const { fetch, drain, ready } = assembleApp({ ...settings, place: EDGE }, undefined);
  // Its models are there, but not in the very moment in which it is made.
  return { fetch: (request, env) => ready.then(() => fetch(request, env)), drain };
}
