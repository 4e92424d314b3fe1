/** Plain-data formats: what the compiler writes and the executor reads. Every size may be symbolic. */

import type { Box } from "../core/dim.ts";
import type { DimData } from "../core/dim_data.ts";
import type { DType, HalfDType } from "../core/dtype.ts";
import type { Fill } from "../core/fill.ts";
import type { RowBlocks } from "../core/row_blocks.ts";

export type { RowBlocks } from "../core/row_blocks.ts";

/** Number of the format that artifacts are written in. */
export const ARTIFACT_FORMAT = 1;

/** Where a step's operand lies: a port, a prepacked weight, or a scratch slot of the arena. */
export interface BufferRef {
  /** The list that `index` counts in: the step list's `inputs`, `outputs`, `weights`, or its `slots` for scratch. */
  readonly space: "input" | "output" | "weight" | "scratch";
  /** Position in that list. */
  readonly index: number;
  /** Bytes from the start of the buffer. */
  readonly offset: DimData;
}

/** A pointer or a 32-bit integer in a kernel's argument table. */
export type StepArgument =
  | {
      readonly buffer: BufferRef;
      /** Bytes by which the pointer moves from block to block, for each unit of the symbol that they are cut by; 0 where absent. */
      readonly advance?: DimData;
    }
  | { readonly size: DimData };

/** One launch. */
export interface Step {
  /** `kernel/step`, for people and errors. */
  readonly kernel: string;
  /** Digest of the code blob. */
  readonly code: string;
  /** The words of the kernel's argument table, in its order. */
  readonly args: readonly StepArgument[];
  /** Work items that may be divided over threads in contiguous ranges. */
  readonly grid: DimData;
  /** Calls for each item, in order on one worker with the same scratch; 1 where absent. */
  readonly parts?: DimData;
  /** Floating-point operations of the whole step. */
  readonly flops: DimData;
  /** Bytes of private scratch that each worker needs while it runs an item. */
  readonly workerScratch: number;
  /** Text of the covered ops, such as `matmul + add + quick_gelu`. */
  readonly covers: string;
  /** Those of `args` that it reads. */
  readonly reads: readonly BufferRef[];
  /** Those of `args` that it writes. */
  readonly writes: readonly BufferRef[];
}

/** An input or output: dense, row-major. */
export interface Port {
  /** As `build` calls it in `b.input` or `b.output`; in a prologue, the tensors it is read from, or the layout. */
  readonly name: string;
  /** Type of the elements in memory. */
  readonly dtype: DType;
  /** Sizes of the axes, outermost first. */
  readonly shape: readonly DimData[];
}

/** A weight as kernels want it. Without `prologue` it is the checkpoint tensor, row-major, as f32 or rounded to `dtype`. */
export interface WeightUse {
  /** Digest of the recipe: equal keys of one instance share memory across ranges. */
  readonly key: string;
  /** Device memory that the packed form takes. */
  readonly bytes: number;
  /** Two-byte type that the numbers are kept in; f32 unless given. */
  readonly dtype?: HalfDType;
  /** Worth keeping between loads as it is packed. */
  readonly keep?: boolean;
  /**
   * Checkpoint names, relative to the instance, in the order of the prologue's inputs. Several may fill one input, or the weight
   * itself, one behind the other.
   */
  readonly sources: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** The prologue's one input and its output are the weight itself: sources are read to where they are packed. */
  readonly inPlace?: boolean;
  /** Step list that turns the sources (its inputs, f32) into the packed form (its output). */
  readonly prologue?: StepList;
}

/** Steps that run over one block of rows after the other: sizes in them are those of a block. */
export interface StepBlocks extends RowBlocks {
  /** First step and the one behind the last. */
  readonly steps: readonly [number, number];
}

/** Steps with their buffers; the part of an artifact that runs. */
export interface StepList {
  /** Read from outside: of a component its inputs, of a prologue the checkpoint's tensors. */
  readonly inputs: readonly Port[];
  /** Written for the outside. */
  readonly outputs: readonly Port[];
  /** Weights that the steps read, each once. */
  readonly weights: readonly WeightUse[];
  /** Scratch slots; each is as large as the largest of its sizes (bytes). */
  readonly slots: readonly (readonly DimData[])[];
  /** In the order in which they run. */
  readonly steps: readonly Step[];
  /** In order, not overlapping; none where absent. */
  readonly blocks?: readonly StepBlocks[];
}

/** A whole buffer of a step list. */
export interface BufferName {
  /** The list that `index` counts in, as in {@link BufferRef}. */
  readonly space: BufferRef["space"];
  /** Position in that list. */
  readonly index: number;
}

/** Contents of a buffer that an expectation's steps read. */
export interface ExpectationFill {
  /** What is filled before the steps run. */
  readonly buffer: BufferName;
  /** Elements of the whole buffer, of the type that `fill` makes. */
  readonly elements: number;
  /** The contents. */
  readonly fill: Fill;
  /** Elements that the compared values depend on, first and one behind the last; all where absent. */
  readonly runs?: readonly (readonly [number, number])[];
}

/**
 * Sampled reference values of the steps of one claim, computed by the reference evaluator from made-up contents.
 * Checkpoint tensors are filled by their name's seed.
 */
export interface Expectation {
  /** First step and the one behind the last. */
  readonly steps: readonly [number, number];
  /** Size of each symbol that the steps run at. */
  readonly dims: Readonly<Record<string, number>>;
  /** What the steps read beside weights. */
  readonly fills: readonly ExpectationFill[];
  /** What is compared: the claim's result. */
  readonly output: BufferName;
  /** f32 unless given. */
  readonly outputType?: "i32" | "u8" | "f16";
  /** Elements of the output's last axis. */
  readonly width: number;
  /** Rows of the output that are compared, all axes but the last taken as one. */
  readonly rows: readonly number[];
  /** Positions along the last axis that are compared in each of `rows`. */
  readonly columns: readonly number[];
  /** Row by row, little-endian f32 in base64; a value that is not finite is not compared. */
  readonly values: string;
  /** Grid items of the last step that write these rows, first and one behind the last; all of them where absent. */
  readonly items?: readonly (readonly [number, number])[];
  /** Largest absolute difference that passes. */
  readonly tolerance: number;
}

/** One component structure x range x target, compiled. Holds no tag, time, path or host. */
export interface Artifact extends StepList {
  /** {@link ARTIFACT_FORMAT} of the compiler that wrote it; artifacts of another format are compiled again. */
  readonly format: number;
  /** Name of the target whose code it holds, such as `wasm-relaxed`. */
  readonly target: string;
  /** The compile range: intervals of the component's symbols that it serves. */
  readonly box: Box;
  /** Bytes of scratch and ports at the upper corner of the box. */
  readonly peakBytes: number;
  /** Whether the box proves that addresses and sizes fit into 32 bits, or the linker compares each call's own. */
  readonly indices: "proven" | "checked";
  /** Capabilities that the code needs. */
  readonly requires: readonly string[];
  /** Sampled reference values of its claims, which proofs compare after compiling and after loading. */
  readonly expectations: readonly Expectation[];
}

/** An artifact and the code blobs that it names, by digest. */
export interface CompiledArtifact {
  /** The plain data: steps, memory plan, expectations. */
  readonly artifact: Artifact;
  /** Bytes by the digests that {@link Step.code} and those of prologues name. */
  readonly code: ReadonlyMap<string, Uint8Array>;
}
