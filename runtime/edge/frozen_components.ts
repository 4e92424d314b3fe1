/** Components of a frozen model: their artifacts are there, and nothing can make others. */
import type { Device } from "../abi/device.ts";
import type { ComponentSpec } from "../abi/encoder.ts";
import { FoveaError, internal } from "../core/diagnostics.ts";
import { digestJson } from "../core/digest.ts";
import { boxText } from "../core/range.ts";
import { ProofError } from "../exec/prove.ts";
import { createRunnerMemory } from "../exec/runner_memory.ts";
import { createMemoryStore } from "../exec/store/memory_store.ts";
import type { ComponentProvider } from "../session/artifacts/artifacts.ts";
import { createProofs } from "../session/artifacts/proofs.ts";
import type { RangeSlot, ReadyArtifact, ReadyComponent } from "../session/artifacts/ready_component.ts";
import type { ComponentSettings, Resolved } from "../session/config/settings.ts";
import type { FrozenComponent, FrozenModel } from "./frozen.ts";

/** What was proven while a frozen model was loaded. */
export interface ProofCount {
  /** Artifacts of which something was proven. */
  artifacts: number;
  /** Expectations that were compared. */
  compared: number;
  /** Expectations of these artifacts. */
  of: number;
  ms: number;
}

export interface FrozenComponents extends ComponentProvider {
  readonly proofs: Readonly<ProofCount>;
}

const frozen = <T>(value: T): Resolved<T> => ({ value, from: "frozen" });

function settingsOf({ dtype }: FrozenComponent, device: Device): ComponentSettings {
  return {
    enabled: frozen(true),
    granularity: frozen("block"),
    ranges: frozen({}),
    dtype: frozen(dtype),
    device: frozen(device.kind),
    target: frozen<string | undefined>(device.target),
    lazy: frozen(false),
    maxArtifacts: frozen(Number.POSITIVE_INFINITY),
  };
}

const leftOut = (tag: string): FoveaError =>
  new FoveaError(
    "not_frozen",
    `The component "${tag}" was left out when this model was frozen; give inputs in the form that its processor makes, or freeze it again with what it needs.`,
  );

const needsCompiler = (): never => internal("a frozen model has no compiler");

/** Nothing was measured about an artifact yet. */
const UNPROVEN: ReadyArtifact["attestation"] = { place: "frozen", proven: [], of: 0, worst: 0, failures: [] };

function readyArtifact(model: FrozenModel, at: number): ReadyArtifact {
  const artifact = model.artifacts[at] ?? internal(`the frozen model has no artifact ${at}`);
  return {
    artifact,
    digest: digestJson(artifact),
    request: "frozen",
    origin: "pack",
    bytes: 0,
    blobs: new Map(),
    compileMs: 0,
    // A kernel that ends a call has no successor here, so that nothing has to wait for one.
    mayFail: false,
    attestation: UNPROVEN,
  };
}

const NO_PORTS = {
  inputs: [],
  outputs: [],
  request: needsCompiler,
  examine: async (): Promise<never> => needsCompiler(),
};

/** Of a component that was left out: a call of it says so. */
const leftOutSlot = ({ tag, symbols }: FrozenComponent): RangeSlot => ({
  ...NO_PORTS,
  ...{ box: symbols, graph: "frozen", ready: undefined },
  obtain: async () => {
    throw leftOut(tag);
  },
});

/** A component with its artifacts as they were frozen, unproven. @throws FoveaError `not_frozen` */
export function frozenComponent(model: FrozenModel, spec: ComponentSpec, device: Device): ReadyComponent {
  const found = model.components.find((c) => c.tag === spec.tag);
  if (found === undefined) throw leftOut(spec.tag);
  const own = { ...spec, symbols: found.symbols, ...(found.ranges.length === 0 ? { lazy: true } : {}) };
  const slots = found.ranges.map(({ box, artifact }): RangeSlot => {
    const ready = readyArtifact(model, artifact);
    return { ...NO_PORTS, ...{ box, graph: ready.digest, ready }, obtain: async () => ready };
  });
  if (slots.length === 0) slots.push(leftOutSlot(found));
  return {
    spec: own,
    settings: settingsOf(found, device),
    device,
    target: device.target,
    boxes: slots.map((s) => s.box),
    splits: [],
    slots,
    artifacts: slots.flatMap((s) => s.ready ?? []),
  };
}

/** Components that are proven when they are prepared: a few expectations of each artifact, as for those of a pack. */
export function createFrozenComponents(
  model: FrozenModel,
  device: Device,
  { engine, now }: { readonly engine: string; readonly now: () => number },
): FrozenComponents {
  const proofs = createProofs({ device, store: createMemoryStore(), engine, now });
  const count: ProofCount = { artifacts: 0, compared: 0, of: 0, ms: 0 };
  proofs.begin();
  return {
    proofs: count,
    memory: createRunnerMemory(),
    quarantined: [],
    surviving: (call) => call(),
    prepare: async (spec, { signal } = {}) => {
      const component = frozenComponent(model, spec, device);
      const scope = proofs.scope();
      try {
        for (const [i, { artifact, digest }] of component.artifacts.entries()) {
          const { attestation, ms } = await proofs.attest(artifact, digest, "pack", scope, signal);
          const [failure] = attestation.failures;
          if (failure !== undefined)
            throw new ProofError(spec.tag, boxText(component.boxes[i]) || "no symbols", failure);
          count.artifacts++;
          count.compared += attestation.proven.length;
          count.of += attestation.of;
          count.ms += ms;
        }
      } finally {
        scope.release();
      }
      return component;
    },
  };
}
