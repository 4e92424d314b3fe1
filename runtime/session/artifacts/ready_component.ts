/** A component's ranges with their artifacts, as far as somebody needed them. */
import type { Artifact } from "../../abi/artifact.ts";
import type { Device } from "../../abi/device.ts";
import type { ComponentSpec } from "../../abi/encoder.ts";
import type { CompileReport } from "../../compile/compile.ts";
import type { Box } from "../../core/dim.ts";
import type { CompileRequest } from "../../exec/artifact_cache.ts";
import type { ComponentSettings } from "../config/settings.ts";
import type { Examined } from "./examine.ts";
import type { Demand } from "./journal.ts";
import type { ComponentPorts } from "./ports.ts";
import type { Preparation } from "./preparation.ts";
import type { Attestation } from "./proofs.ts";
import type { AskedSplit } from "./trace.ts";

export type Origin = "compiled" | "cache" | "pack";

/** One range of a component, ready to run. */
export interface ReadyArtifact {
  readonly artifact: Artifact;
  /** Digest of its bytes. */
  readonly digest: string;
  readonly request: string;
  readonly origin: Origin;
  /** Bytes of the encoded artifact. */
  readonly bytes: number;
  /** Bytes of each code blob, by digest: artifacts share blobs. */
  readonly blobs: ReadonlyMap<string, number>;
  /** Milliseconds of compiling; 0 from the cache. */
  readonly compileMs: number;
  /** It holds kernels that may end a call, after which another artifact takes its place. */
  readonly mayFail: boolean;
  /** What this device measured about it. */
  readonly attestation: Attestation;
  /** Texts of the compiler's stages; absent when it came from the cache. */
  readonly report?: CompileReport;
}

/** One range of a component and, once somebody needed it, its artifact. */
export interface RangeSlot extends ComponentPorts {
  readonly box: Box;
  /** Digest of the traced graph. */
  readonly graph: string;
  /** What a compile of it depends on, with the graph's data. */
  readonly request: () => CompileRequest;
  readonly ready: ReadyArtifact | undefined;
  /**
   * Looks up or compiles, and proves, on the first call.
   * @param preparation shared with other ranges of the component
   * @throws FoveaError `no_kernel`, `sealed`, `proof_failed`; the signal's reason on abort
   */
  obtain(demand: Demand, signal: AbortSignal | undefined, preparation?: Preparation): Promise<ReadyArtifact>;
  /** Obtains it, and compiles it once more with everything that explaining needs. */
  examine(): Promise<Examined>;
}

export interface ReadyComponent {
  readonly spec: ComponentSpec;
  readonly settings: ComponentSettings;
  /** Device that runs it. */
  readonly device: Device;
  /** Target that its code is for. */
  readonly target: string;
  readonly boxes: readonly Box[];
  /** Splits that comparisons in `build` asked for. */
  readonly splits: readonly AskedSplit[];
  /** By position in `boxes`. */
  readonly slots: readonly RangeSlot[];
  /** Those that are there: all of them unless the component is lazy. */
  readonly artifacts: readonly ReadyArtifact[];
}
