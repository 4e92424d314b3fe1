/** What `runtime.freeze` takes. */
import type { Tensor } from "../abi/encoder.ts";
import type { WeightDType } from "../core/dtype.ts";

/** Intervals of a symbol that follow each other, each with artifacts of its own: `[[1, 1], [2, 8]]`. */
export type FrozenIntervals = readonly (readonly [number, number])[];

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
  /** Decoders that the folder gets: png for vision unless given. */
  readonly formats?: readonly string[];
  /** Bytes that the place gives to code, weights and runs together; 128 MiB unless given. */
  readonly memory?: number;
  /** Fetched from beside the code, or part of it. */
  readonly weights?: "fetched" | "bundled";
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
  readonly weights: number;
  /** The largest run of a tower. */
  readonly run: number;
  /** A picture of the least size that is to be decoded, or 0. */
  readonly picture: number;
  readonly total: number;
  readonly limit: number;
}

export interface FrozenFolder {
  readonly folder: string;
  readonly target: string;
  readonly modules: number;
  readonly shards: number;
  readonly memory: FrozenMemory;
  /** Most pixels of a picture. */
  readonly maxPixels: number;
}
