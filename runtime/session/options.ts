/** What `createRuntime` takes, and what it tells while it works. */
import type { Plugin } from "../abi/plugin.ts";
import type { Store } from "../exec/store/store.ts";

/** Progress of a load: `done` of `total` steps of a phase. */
export interface Progress {
  readonly phase: "compile" | "weights";
  readonly modality: string;
  readonly done: number;
  readonly total: number;
  /** The component or instance that was finished. */
  readonly item: string;
}

export interface RuntimeOptions {
  /** Device kind; `wasm` unless given. */
  readonly device?: string;
  /** Kernels, devices, encoders and ops. First-party plugins are used when left out. */
  readonly plugins?: readonly Plugin[];
  /** Where artifacts are kept: a folder, a store of one's own, or `false` for this process alone (the default). */
  readonly cache?: string | Store | false;
  /** `{ enabled: false }` runs every op alone, on the same kernels: for debugging. */
  readonly compile?: { readonly enabled?: boolean };
  /** Workers that compute; 0 computes on the caller's thread. One per core unless given. */
  readonly threads?: number;
  /** Pins a target, such as `wasm-simd128` for bit-equal results everywhere; the best one that the engine has otherwise. */
  readonly target?: string;
  /** Most device memory in bytes. */
  readonly memory?: number;
  readonly onProgress?: (progress: Progress) => void;
  /** Told once about each thing that was worked around, such as a cache folder that cannot be written. */
  readonly onProblem?: (sentence: string) => void;
}

export interface LoadOptions {
  /** Towers to load; all that the configuration has unless given. */
  readonly components?: readonly ("vision" | "text" | "audio")[];
  /** Type that the arithmetic uses; `f32`. */
  readonly dtype?: "f32";
  /** `dummy` makes seeded normal weights (standard deviation 0.02) and reads `config.json` alone. */
  readonly loadFormat?: "safetensors" | "dummy";
  readonly signal?: AbortSignal;
}
