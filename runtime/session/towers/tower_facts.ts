/** What callers see of towers; the session knows their components beside it (`tower.ts`). */
import type { TowerSpec } from "../../abi/encoder.ts";
import type { RunLimit } from "./run_limit.ts";
import type { SegmentReport } from "./segments.ts";

/** Figures of a tower's runs. */
export interface RunStats {
  /** Geometries that were planned and linked so far. */
  planned: number;
  /** Milliseconds of planning and linking the last of them. */
  planMs: number;
  /** Milliseconds of the last run, with writing inputs and reading results back, without preparing inputs and planning. */
  modelMs: number;
  /** Floating-point operations of the last run. */
  flops: number;
  /** Memory of the last run beside weights, over all its devices. */
  arenaBytes: number;
  /** The last run's parts in order: one, unless components are placed on other devices. */
  segments: readonly SegmentReport[];
  /** Bytes that the last run carried from device to device through host memory. */
  crossedBytes: number;
}

/** A tower of a model that was prepared. */
export interface ModelTower {
  /** What it takes and gives, and the components that were compiled: its encoder's own, or those that `granularity` made. */
  readonly spec: TowerSpec;
}

/** A tower of a loaded encoder. */
export interface EncoderTower extends ModelTower {
  /** Largest run that the memory left beside the weights holds, as of loading, where that is known before anything runs. */
  readonly limit?: RunLimit | undefined;
  /** Bytes of its weights on devices. */
  readonly weightBytes: number;
  /** Of its runs so far; the object stays and its figures change. */
  readonly stats: Readonly<RunStats>;
}
