/** What files of the hub are told: where to keep, whom to ask, which tensors. */
import type { Host } from "../host/mod.ts";
import type { HubAccess } from "./access.ts";
import type { HubReference } from "./reference.ts";

/** Tensors of a checkpoint that are wanted, and names of those that it must have and has not. */
export interface Selection {
  readonly wanted: readonly string[];
  readonly missing: readonly string[];
}

/** Chooses among a checkpoint's tensors. */
export type Select = (names: ReadonlySet<string>) => Selection;

export interface HubProgress {
  /** Bytes that are on disk, of the bytes that are known to be needed. */
  readonly done: number;
  readonly total: number;
  readonly file: string;
}

export interface HubFilesOptions {
  readonly host: Host;
  readonly reference: HubReference;
  readonly access: HubAccess;
  /** Where the model is kept; without one everything is read over the network. */
  readonly folder: string | undefined;
  readonly offline: boolean;
  /** Milliseconds before a request is tried again. */
  readonly firstWait?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: HubProgress) => void) | undefined;
}
