/** The application of encoders that were frozen: the same routes where nothing is loaded, compiled or fetched. */
import { FoveaError, internal } from "../core/diagnostics.ts";
import type { FrozenEncoder } from "../edge/api.ts";
import { isObject } from "../session/check.ts";
import type { Encoder } from "../session.ts";
import { assembleApp } from "./app.ts";
import type { FrozenApp, FrozenAppOptions } from "./frozen_api.ts";
import { HttpError } from "./http_error.ts";
import { checkServerOptions, type ServedRuntime } from "./options.ts";
import type { FetchImage } from "./remote_images.ts";

export type { FrozenApp, FrozenAppOptions } from "./frozen_api.ts";

const isEncoder = (value: unknown): value is FrozenEncoder & Encoder =>
  isObject(value) && typeof value.readItems === "function" && isObject(value.report);

const KNOWN: readonly (keyof FrozenAppOptions)[] = [
  "models",
  "tokens",
  "cors",
  "queue",
  "deadline",
  "maxBody",
  "maxText",
  "log",
];

/** @throws FoveaError `invalid_options` */
function encodersOf(options: FrozenAppOptions): Readonly<Record<string, FrozenEncoder & Encoder>> {
  const odd = Object.keys(options).find((name) => !KNOWN.includes(name as keyof FrozenAppOptions));
  if (odd !== undefined) {
    throw new FoveaError("invalid_options", `A frozen application has no option "${odd}"; it has ${KNOWN.join(", ")}.`);
  }
  const wrong = Object.entries(options.models ?? {}).find(([, encoder]) => !isEncoder(encoder));
  if (wrong === undefined) return options.models as Readonly<Record<string, FrozenEncoder & Encoder>>;
  throw new FoveaError(
    "invalid_options",
    `The model "${wrong[0]}" of a frozen application is no encoder that createEncoder resolved to; await it first.`,
  );
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

/** Addresses cannot be checked where names are not resolved here. */
const fetchNothing: FetchImage = async () => {
  throw new HttpError(
    400,
    "image_url.off",
    "The picture is an address, and a frozen server fetches none; send its bytes as a data URI.",
  );
};

/**
 * The routes of `fovea serve` (docs/serving.md) for a Worker, and for any place that takes a `fetch`. Requests have calls of their
 * own: what one of them waits for may end with the request that another began.
 * @throws FoveaError `invalid_options`
 */
export function createApp(options: FrozenAppOptions): FrozenApp {
  const encoders = encodersOf(options);
  const settings = checkServerOptions({
    ...{ queue: 64, maxBody: 4 * 2 ** 20, ...options },
    runtime: frozenRuntime(Object.values(encoders)),
    models: Object.fromEntries(Object.entries(encoders).map(([name, encoder]) => [name, { encoder }])),
  });
  const { fetch, drain } = assembleApp({ ...settings, shareCalls: false }, fetchNothing);
  return { fetch: (request, env) => fetch(request, env), drain };
}
