/** Kernels that failed, in a proof or in a call: they are put aside by name, and what they claimed is compiled without them. */
import { FoveaError, KernelError } from "../../core/diagnostics.ts";
import { failureText, ProofError, type ProofResult } from "../../exec/prove.ts";
import type { Place } from "./places.ts";

/** A kernel that was put aside, and why. */
export interface Quarantined {
  /** As its plugin names it; of plugins of files `plugin/kernel`. */
  readonly kernel: string;
  /** A sentence. */
  readonly reason: string;
}

export interface Quarantine {
  readonly all: readonly Quarantined[];
  /** Names of a device's kernels that were put aside, in order. */
  of(device: string): readonly string[];
  /**
   * Puts the kernel aside that ended a call, or the loading of its code.
   * @param when as words of a sentence; `during a call` unless given
   * @returns whether its calls may be made again: not with `strict`, nor for what is no kernel's failure
   */
  stop(error: unknown, when?: string): boolean;
  /** The error, or for `no_kernel` on a device whose kernels were put aside one that says which and why. */
  withReasons(error: unknown, device: string): unknown;
  /** Puts the kernels aside whose proofs failed. @throws ProofError where none is left to put aside, or with `strict` */
  putAside(tag: string, range: string, place: Place, failures: readonly ProofResult[]): void;
}

export interface QuarantineOptions {
  /** A kernel that fails is an error. */
  readonly strict: boolean;
  readonly onProblem: (sentence: string) => void;
}

/** Name of the kernel that a step belongs to: steps are called `kernel/step`. */
const blamed = ({ kernel }: Pick<ProofResult, "kernel">): string =>
  kernel.slice(0, Math.max(0, kernel.lastIndexOf("/")));

export function createQuarantine({ strict, onProblem }: QuarantineOptions): Quarantine {
  /** Device kind -> kernel -> why. */
  const aside = new Map<string, Map<string, Quarantined>>();
  return {
    get all() {
      return [...aside.values()].flatMap((kernels) => [...kernels.values()]);
    },
    stop: (error, when = "during a call") => {
      if (strict || !(error instanceof KernelError)) return false;
      const kernel = blamed({ kernel: error.step });
      const own = aside.get(error.device) ?? new Map<string, Quarantined>();
      aside.set(error.device, own);
      if (own.has(kernel)) return true;
      const reason = `The kernel "${kernel}" was put aside ${when}: ${error.reason} (step ${error.step}).`;
      own.set(kernel, { kernel, reason });
      onProblem(reason);
      return true;
    },
    withReasons: (error, device) => {
      const own = [...(aside.get(device)?.values() ?? [])];
      if (own.length === 0 || !(error instanceof FoveaError) || error.code !== "no_kernel") return error;
      const reasons = own.map(({ reason }) => reason).join(" ");
      return new FoveaError("no_kernel", `${error.message} ${reasons}`, { cause: error });
    },
    of: (device) => [...(aside.get(device)?.keys() ?? [])].sort(),
    putAside: (tag, range, { device, kernels }, failures) => {
      const own = aside.get(device.kind) ?? new Map<string, Quarantined>();
      const isNew = (f: ProofResult): boolean => kernels.some((k) => k.name === blamed(f)) && !own.has(blamed(f));
      if (strict || !failures.every(isNew)) throw new ProofError(tag, range, failures[0]);
      aside.set(device.kind, own);
      for (const failure of failures) {
        const kernel = blamed(failure);
        if (own.has(kernel)) continue;
        const reason = `The kernel "${kernel}" was put aside: ${failureText(tag, failure)}`;
        own.set(kernel, { kernel, reason });
        onProblem(reason);
      }
    },
  };
}
