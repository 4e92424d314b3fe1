/** What `runtime.freeze` takes. */
import type { Tensor } from "../abi/encoder.ts";
import type { WeightDType } from "../core/dtype.ts";

/** Intervals of a symbol that follow each other, each with artifacts of its own: `[[1, 1], [2, 8]]`. */
export type FrozenIntervals = readonly (readonly [number, number])[];

/** How a model is frozen, and for what place. */
export interface FreezeOptions {
  /** Towers; all that the configuration has unless given. */
  readonly components?: readonly ("vision" | "text" | "audio")[];
  /** Intervals of components' symbols instead of their own, within these. */
  readonly ranges?: Readonly<Record<string, FrozenIntervals>>;
  /** As for `load`. */
  readonly dtype?: WeightDType;
  /** As for `load`. */
  readonly calibration?: string | Readonly<Record<string, Tensor>>;
  /** As for `load`. */
  readonly loadFormat?: "safetensors" | "dummy";
  /** Decoders that the folder gets, of `png`, `jpeg`, `webp`, `gif` and `wav`; `png` for models with a vision tower unless given. */
  readonly formats?: readonly string[];
  /** Bytes that the place gives to code, weights and runs together; 128 MiB unless given. */
  readonly memory?: number;
  /** Weights are fetched from beside the code (the default), or part of it. */
  readonly weights?: "fetched" | "bundled";
  /** Adds the routes of `fovea serve`, which the folder's worker then has. */
  readonly app?: boolean;
  /**
   * Where plugins lie that the runtime was given as objects: modules or packages, as for `loadPlugin`. The modules of an encoder
   * of others go into the folder.
   */
  readonly pluginSources?: readonly string[];
  /** Name of the deployment; made of the model's kind unless given. */
  readonly name?: string;
}

/** Bytes by what they are for. */
export interface FrozenMemory {
  /** Code, its plan, and what the engine needs beside it. */
  readonly code: number;
  /** Weights as they lie on the device. */
  readonly weights: number;
  /** The largest run of a tower, or the largest weight where that takes more while it is placed. */
  readonly run: number;
  /** A picture of the least size that is to be decoded, or 0. */
  readonly picture: number;
  /** All of these together. */
  readonly total: number;
  /** What the place gives: the option `memory`. */
  readonly limit: number;
}

/** What was written. */
export interface FrozenFolder {
  /** As it was given. */
  readonly folder: string;
  /** Target that the code is for. */
  readonly target: string;
  /** Kernels, which are functions of one module but for foreign ones. */
  readonly kernels: number;
  /** Files of weights. */
  readonly shards: number;
  /** What the model takes of the place's memory. */
  readonly memory: FrozenMemory;
  /** Most pixels of a picture that the memory left can decode; 0 without a vision tower. */
  readonly maxPixels: number;
}
