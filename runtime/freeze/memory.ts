/** What a frozen model takes of its place's memory, and what to say when that is more than there is. */
import type { ComponentSpec, TowerSpec } from "../abi/encoder.ts";
import { bytesText, FoveaError } from "../core/diagnostics.ts";
import { frozenComponent } from "../edge/frozen_components.ts";
import { DEFAULT_MAX_PIXELS } from "../media/decode_with.ts";
import type { ReadyComponent } from "../session/artifacts/ready_component.ts";
import type { RuntimeParts } from "../session/runtime_parts.ts";
import { limitRuns, type RunLimit } from "../session/towers/run_limit.ts";
import { weightBytesOf } from "../session/towers/tower_weights.ts";
import type { CompiledModel } from "./compile_model.ts";
import type { FrozenMemory } from "./options.ts";

/**
 * Of code, engine and what a request needs beside its picture: measured as what a workerd process grows by between an empty
 * worker and digits-clip after a hundred pictures, without that model's device memory (docs/edge.md), and rounded up.
 */
const CODE_BYTES = 16 * 2 ** 20;
/**
 * Of the server's routes: what workerd grows by (10 MiB after 300 requests), and a body of the 4 MiB that they take as bytes, as
 * text and decoded.
 */
const APP_BYTES = 22 * 2 ** 20;
/** A plan is read as text, parsed and kept. */
const PLAN_TIMES = 4;
/** Device memory grows by so much at a time. */
const GROWTH = 2 ** 20;
/** While a weight is placed, a copy of it and a piece of its shard are held. */
const PIECE_BYTES = 2 ** 20;
/** A picture of 512 x 512 is to be decoded in any case. */
const LEAST_PIXELS = 2 ** 18;
/** Bytes of a pixel while it is decoded, as RGB, and on the device. */
const PIXEL_BYTES = 16 + 3 + 8;

export interface Accounted {
  readonly memory: FrozenMemory;
  readonly deviceBytes: number;
  readonly maxPixels: number;
  /** The largest weight, of which a copy is held while it is placed. */
  readonly largestWeight: number;
  /** Each tower's largest run. */
  readonly limits: readonly RunLimit[];
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const readyOf = (parts: RuntimeParts, { frozen }: CompiledModel, spec: ComponentSpec): ReadyComponent =>
  frozenComponent(frozen, spec, parts.device);

const readyTower = (parts: RuntimeParts, model: CompiledModel, tower: TowerSpec): ReadonlyMap<string, ReadyComponent> =>
  new Map(tower.components.map((spec) => [spec.tag, readyOf(parts, model, spec)]));

/** Components without a growth of their own run at the corners of their ranges. */
function cornerBytes(ready: ReadonlyMap<string, ReadyComponent>): number {
  return Math.max(0, ...[...ready.values()].flatMap((c) => c.artifacts.map((a) => a.artifact.peakBytes)));
}

function scratchBytes({ frozen }: CompiledModel): number {
  return Math.max(0, ...frozen.artifacts.flatMap((a) => a.steps.map((s) => s.workerScratch)));
}

/** What a folder is for. */
export interface FrozenPlace {
  /** Bytes that it gives. */
  readonly limit: number;
  /** Whether the folder has the server's routes. */
  readonly app: boolean;
}

export function accountMemory(parts: RuntimeParts, model: CompiledModel, { limit, app }: FrozenPlace): Accounted {
  const { frozen } = model;
  const towers = model.towers.map((tower) => ({ tower, ready: readyTower(parts, model, tower) }));
  const limits = towers.flatMap(({ tower, ready }) => limitRuns(tower, ready, Number.POSITIVE_INFINITY) ?? []);
  const run =
    scratchBytes(model) +
    Math.max(
      0,
      ...towers.map(
        ({ tower, ready }) => limitRuns(tower, ready, Number.POSITIVE_INFINITY)?.bytes ?? cornerBytes(ready),
      ),
    );
  const weights = sum(towers.flatMap(({ ready }) => [...ready.values()].map(weightBytesOf)));
  const largest = Math.max(0, ...frozen.artifacts.flatMap((a) => a.weights.map((w) => w.bytes)));
  const plan = new TextEncoder().encode(JSON.stringify(frozen)).length;
  const own = sum([...model.code.values()].map((c) => c.length));
  const code = CODE_BYTES + (app ? APP_BYTES : 0) + PLAN_TIMES * plan + own + PIECE_BYTES;
  const takesPictures = frozen.modalities.includes("vision");
  const picture = takesPictures ? LEAST_PIXELS * PIXEL_BYTES : 0;
  // A weight under way and a picture are not there at the same time as a run, and share its place.
  const working = Math.max(run, largest);
  const total = code + weights + GROWTH + working + picture;
  const room = Math.max(0, limit - total) + picture;
  const maxPixels = takesPictures ? Math.min(DEFAULT_MAX_PIXELS, Math.floor(room / PIXEL_BYTES)) : 0;
  return {
    memory: { code, weights, run: GROWTH + working, picture, total, limit },
    deviceBytes: weights + GROWTH + working + (takesPictures ? 8 * maxPixels : 0),
    maxPixels,
    largestWeight: largest,
    limits,
  };
}

/** The largest run of each tower that leaves the total within the limit, where a smaller one than the whole does. */
export function fittingRanges(
  parts: RuntimeParts,
  model: CompiledModel,
  { memory, largestWeight }: Accounted,
): readonly (readonly [symbol: string, min: number, max: number])[] | undefined {
  const place = memory.limit - (memory.total - memory.run) - GROWTH;
  // No range makes a weight smaller.
  if (largestWeight > place) return undefined;
  const given = place - scratchBytes(model);
  const found = model.towers.map((tower) => limitRuns(tower, readyTower(parts, model, tower), given));
  if (found.some((f) => f === undefined || f.bytes > given)) return undefined;
  return found.map((f) => [(f as RunLimit).symbol, (f as RunLimit).interval.min, (f as RunLimit).size]);
}

export const memoryText = ({ code, weights, run, picture }: FrozenMemory): string =>
  [
    `${bytesText(code)} of code and plan`,
    `${bytesText(weights)} of weights`,
    `${bytesText(run)} for the largest run or weight`,
    ...(picture === 0 ? [] : [`${bytesText(picture)} for a picture of 512 x 512`]),
  ].join(", ");

/** What would fit instead: an option and its total. */
export interface Remedy {
  readonly option: string;
  readonly total: number;
}

export function tooLarge(modelType: string, memory: FrozenMemory, remedies: readonly Remedy[]): FoveaError {
  const what = remedies.map(({ option, total }) => `${option} (${bytesText(total)})`);
  const advice =
    what.length > 0
      ? `What would fit: ${what.join("; ")}.`
      : "Neither int8 nor smaller ranges would fit; take a smaller model, fewer components, or a place with more memory.";
  return new FoveaError(
    "too_large",
    `This ${modelType} model needs ${bytesText(memory.total)} and the place gives ${bytesText(memory.limit)}: ${memoryText(memory)}. ${advice}`,
  );
}
