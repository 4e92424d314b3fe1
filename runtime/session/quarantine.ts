/** Kernels whose proofs failed: they are put aside by name, and what they claimed is compiled without them. */
import { failureText, ProofError, type ProofResult } from "../exec/prove.ts";
import type { Place } from "./places.ts";

/** A kernel that was put aside, and why. */
export interface Quarantined {
  readonly kernel: string;
  /** A sentence. */
  readonly reason: string;
}

export interface Quarantine {
  readonly all: readonly Quarantined[];
  /** Names of a device's kernels that were put aside, in order. */
  of(device: string): readonly string[];
  /** Puts the kernels aside that failed. @throws ProofError where none is left to put aside, or with `strict` */
  putAside(tag: string, range: string, place: Place, failures: readonly ProofResult[]): void;
}

export interface QuarantineOptions {
  /** A failed proof is an error. */
  readonly strict: boolean;
  readonly onProblem: (sentence: string) => void;
}

/** Name of the kernel that a failed proof blames: steps are called `kernel/step`. */
const blamed = ({ kernel }: ProofResult): string => kernel.slice(0, Math.max(0, kernel.lastIndexOf("/")));

export function createQuarantine({ strict, onProblem }: QuarantineOptions): Quarantine {
  /** Device kind -> kernel -> why. */
  const aside = new Map<string, Map<string, Quarantined>>();
  return {
    get all() {
      return [...aside.values()].flatMap((kernels) => [...kernels.values()]);
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
