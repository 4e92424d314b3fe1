/** What `fovea freeze` writes down about a model and a frozen folder reads: plain data, without code and weights. */
import type { Artifact, WeightUse } from "../abi/artifact.ts";
import type { Modality, ModelFiles } from "../abi/encoder.ts";
import type { Sandbox } from "../abi/sandbox.ts";
import { digestJson } from "../core/digest.ts";
import type { Box } from "../core/dim.ts";
import type { KeptDType } from "../core/dtype.ts";

export const FROZEN_FORMAT = 2;

/** One range of a component. */
export interface FrozenRange {
  readonly box: Box;
  /** Position in the model's `artifacts`. */
  readonly artifact: number;
}

export interface FrozenComponent {
  readonly tag: string;
  /** The intervals that it was frozen for; within its encoder's own. */
  readonly symbols: Box;
  readonly dtype: KeptDType;
  /** None for what the frozen model leaves out: the second form of an input. */
  readonly ranges: readonly FrozenRange[];
}

/** A kernel that shares its module with others: the module's digest, the function's name. */
export type SharedFunction = readonly [module: string, name: string];

/** A packed weight in the stream of weights: its identity, first byte, bytes, checksum. */
export type FrozenWeight = readonly [id: string, begin: number, bytes: number, checksum: number];

/** What tells an instance's weight from all others of a model: its tensors and how they are packed. */
export function frozenWeightId(instance: string, { key, sources }: Pick<WeightUse, "key" | "sources">): string {
  return digestJson({ instance, key, sources: sources.map(({ name }) => name) }).slice(0, 24);
}

/** A file that holds a part of the stream of weights. */
export interface FrozenShard {
  readonly name: string;
  readonly bytes: number;
}

export interface FrozenModel {
  readonly format: number;
  /** Version of fovea that wrote it. */
  readonly fovea: string;
  readonly modelType: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly files: ModelFiles;
  readonly modalities: readonly Modality[];
  readonly target: string;
  /** Most bytes of device memory: weights, one run, one picture. */
  readonly deviceBytes: number;
  /** Most pixels of a picture. */
  readonly maxPixels: number;
  readonly logitScale?: number;
  readonly logitBias: number;
  readonly components: readonly FrozenComponent[];
  readonly artifacts: readonly Artifact[];
  /** Digests of all code. */
  readonly code: readonly string[];
  /** Of code that is a function of a module: by the code's digest. All other code is a module by itself. */
  readonly functions: Readonly<Record<string, SharedFunction>>;
  /** Digests of foreign code, and how it is run. */
  readonly sandboxes: Readonly<Record<string, Sandbox>>;
  /** In the order in which they are loaded. */
  readonly weights: readonly FrozenWeight[];
  readonly shards: readonly FrozenShard[];
}
