/** Proofs of artifacts on this runtime's device, and what was attested about them before. */
import type { Artifact } from "../../abi/artifact.ts";
import type { Device } from "../../abi/device.ts";
import { canonicalJson } from "../../core/canonical_json.ts";
import { digestJson } from "../../core/digest.ts";
import { createInstanceWeights, type InstanceWeights } from "../../exec/instance_weights.ts";
import { type ProofResult, proveArtifact } from "../../exec/prove.ts";
import type { Store } from "../../exec/store/store.ts";

/** What a device measured about an artifact; kept beside it, outside of its digest. */
export interface Attestation {
  /** Runtime, engine, device and target that measured. */
  readonly place: string;
  /** Positions of the expectations that were compared, ascending. */
  readonly proven: readonly number[];
  /** Expectations of the artifact. */
  readonly of: number;
  /** Largest difference found, as a share of what passes. */
  readonly worst: number;
  readonly failures: readonly ProofResult[];
}

/**
 * Predicted milliseconds that proving may take beyond the cheapest expectation of each artifact, for all that a load takes from
 * a store: so few that the first load of a process, whose engine has not optimised anything yet, keeps 50 ms altogether.
 */
const LOAD_BUDGET_MS = 5;
/** The same for each component that is compiled. What is left over is proven by later loads. */
const COMPONENT_BUDGET_MS = 50;

/** What the ranges of one component share while they are proven. */
export interface ProofScope {
  readonly weights: InstanceWeights;
  /** Left for artifacts that are compiled. */
  budgetMs: number;
  release(): void;
}

export interface Proofs {
  /** A load begins. */
  begin(): void;
  /** For the artifacts of one component. */
  scope(): ProofScope;
  /**
   * What is known about an artifact whose code is loaded, after proving more of it as far as the budget goes; `ms` is what
   * that took, 0 where everything was attested before.
   */
  attest(
    artifact: Artifact,
    digest: string,
    origin: "compiled" | "cache" | "pack",
    scope: ProofScope,
    signal?: AbortSignal,
  ): Promise<{ readonly attestation: Attestation; readonly ms: number }>;
}

export interface ProofOptions {
  readonly device: Device;
  readonly store: Store;
  /** Runtime and engine with their versions: another engine compiles the same code otherwise. */
  readonly engine: string;
  readonly now: () => number;
}

const isAttestation = (value: unknown): value is Attestation => {
  const a = value as Partial<Attestation> | null;
  return typeof a === "object" && a !== null && Array.isArray(a.proven) && Array.isArray(a.failures);
};

export function createProofs({ device, store, engine, now }: ProofOptions): Proofs {
  const place = `${engine}, ${device.kind} ${device.target}`;
  // Equal names with other capabilities are other places.
  const fingerprint = digestJson({ place, capabilities: device.capabilities }).slice(0, 16);
  const keyOf = (digest: string): string => `attestations/${digest}/${fingerprint}`;
  let budgetMs = LOAD_BUDGET_MS;

  const remembered = async (digest: string): Promise<Attestation | undefined> => {
    const bytes = await store.get(keyOf(digest));
    if (bytes === undefined) return undefined;
    try {
      const value = JSON.parse(new TextDecoder().decode(bytes)) as { digest?: unknown; attestation?: unknown };
      const { attestation } = value;
      return isAttestation(attestation) && value.digest === digestJson(attestation) ? attestation : undefined;
    } catch {
      return undefined;
    }
  };

  const seenCode = new Set<string>();

  return {
    begin: () => {
      budgetMs = LOAD_BUDGET_MS;
    },
    scope: () => {
      const weights = createInstanceWeights(device);
      return { weights, budgetMs: COMPONENT_BUDGET_MS, release: () => weights.release() };
    },
    attest: async (artifact, digest, origin, scope, signal) => {
      const of = artifact.expectations.length;
      const known = (await remembered(digest)) ?? { place, proven: [], of, worst: 0, failures: [] };
      if (known.failures.length > 0 || known.proven.length === of) return { attestation: known, ms: 0 };
      const budget = origin === "compiled" ? scope.budgetMs : budgetMs;
      if (known.proven.length > 0 && budget <= 0) return { attestation: known, ms: 0 };
      const begin = now();
      const { results, spentMs } = await proveArtifact(device, artifact, {
        proven: new Set(known.proven),
        budgetMs: budget,
        ...(origin === "compiled" ? {} : { least: "cheapest" as const }),
        weights: scope.weights,
        seenCode,
        ...(signal === undefined ? {} : { signal }),
      });
      if (origin === "compiled") scope.budgetMs -= spentMs;
      else budgetMs -= spentMs;
      const found = [...results.values()];
      const attestation: Attestation = {
        place,
        of,
        proven: [...known.proven, ...results.keys()].sort((a, b) => a - b),
        worst: Math.max(known.worst, ...found.map((r) => Math.min(r.worst / r.tolerance, Number.MAX_VALUE))),
        // Infinity has no JSON.
        failures: found.filter((r) => !r.pass).map((r) => ({ ...r, worst: Math.min(r.worst, Number.MAX_VALUE) })),
      };
      const bytes = new TextEncoder().encode(canonicalJson({ attestation, digest: digestJson(attestation) }));
      if (found.length > 0) await store.put(keyOf(digest), bytes);
      return { attestation, ms: now() - begin };
    },
  };
}
