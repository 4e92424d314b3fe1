/** Components to artifacts: traced, looked up, compiled only on a miss. One structure is compiled once. */
import type { Device } from "../../abi/device.ts";
import type { ComponentSpec } from "../../abi/encoder.ts";
import { SealedError, TraceBreakError, traceBreakText } from "../../core/diagnostics.ts";
import { digestJson } from "../../core/digest.ts";
import { boxText } from "../../core/range.ts";
import { dayOf, noteUse } from "../../exec/cache_entries.ts";
import type { TensorReader } from "../../exec/instance_weights.ts";
import { createRunnerMemory, type FreshMemory, type RunnerMemory } from "../../exec/runner_memory.ts";
import { joinShared, type Shared } from "../../exec/shared_work.ts";
import { graphToData } from "../../ir/graph.ts";
import { gated } from "../config/gate.ts";
import { boxesOf } from "../config/ranges.ts";
import {
  type CallSettings,
  type CompileLayers,
  type ComponentSettings,
  type Home,
  resolveSettings,
} from "../config/settings.ts";
import {
  createArtifactSources,
  type Order,
  type SourceCounters,
  type SourceOptions,
  usesAny,
} from "./artifact_sources.ts";
import { examine } from "./examine.ts";
import { type CompileCause, type Demand, LOADING } from "./journal.ts";
import type { Place, Places } from "./places.ts";
import { KernelContractError } from "./plugin_kernel.ts";
import { portsOf } from "./ports.ts";
import { beginPreparation, obtainAll, type Preparation } from "./preparation.ts";
import { createProofs, type Proofs } from "./proofs.ts";
import { createQuarantine, type Quarantined } from "./quarantine.ts";
import type { RangeSlot, ReadyArtifact, ReadyComponent } from "./ready_component.ts";
import { createTagRegister } from "./tag_register.ts";
import { type PlaceFinder, splitText, type TracedRange, traceRanges } from "./trace.ts";
import { readWeightFacts } from "./weight_facts.ts";

/** Where a runtime's artifacts came from, and what they cost. Artifacts are counted by structure: equal components share one. */
export interface ArtifactCounters extends SourceCounters {
  /** Structures that an earlier component of this runtime had ready. */
  shared: number;
  /** Artifacts of which something was proven on this device; others were attested before. */
  proven: number;
  /** Milliseconds of all proofs. */
  proofMs: number;
}

/** A component that is not compiled, and why. */
export interface Uncompiled {
  /** Component. */
  readonly tag: string;
  /** Where the setting stands, such as `compile.enabled`, or what the encoder's gate says. */
  readonly reason: string;
}

export interface ArtifactsOptions extends SourceOptions {
  readonly places: Places;
  /** What was configured, the strongest first. */
  readonly layers: CompileLayers;
  /** A kernel that fails is an error instead of being put aside. */
  readonly strict: boolean;
  /** Runtime and engine with their versions. */
  readonly engine: string;
  /** Told about each kernel that is put aside. */
  readonly onProblem: (sentence: string) => void;
  /** Reads source maps, for the lines that messages name. */
  readonly findPlace: PlaceFinder;
  /** Milliseconds since 1970, for the day of the last use. */
  readonly today: () => number;
  /** Where memory for results comes from, unless it is the engine's own. */
  readonly fresh?: FreshMemory | undefined;
}

export interface PrepareOptions {
  /** Plugin that brings the component; nothing for a graph of the caller's own. */
  readonly plugin?: string;
  /** What the call asks for. */
  readonly call?: CallSettings;
  /** Device that computes what no setting places elsewhere; the runtime's own unless given. */
  readonly home?: Home;
  /** Why it is prepared; `load` unless given. */
  readonly cause?: CompileCause;
  /** Stronger than everything that was configured. */
  readonly over?: CompileLayers[number];
  /** Compiles nothing: every range waits for its first use, whatever the settings say. */
  readonly defer?: boolean;
  /** Reader of an instance's tensors: what they tell decides which values are f16 on devices that keep some so. */
  readonly weights?: (instance: string) => TensorReader;
  /** Looked at between artifacts, and inside proofs. */
  readonly signal?: AbortSignal;
}

export interface Artifacts {
  /** What runners of the components share. */
  readonly memory: RunnerMemory;
  readonly counters: Readonly<ArtifactCounters>;
  /** Components that run op by op, by tag. */
  readonly uncompiled: ReadonlyMap<string, Uncompiled>;
  /**
   * All ranges of a component; lazy ones without artifacts.
   * @throws FoveaError `invalid_range`, `shape_error`, `no_kernel`, `tag_conflict`, `impure_build`, TraceBreakError, and what
   * finding its device throws; the signal's reason on abort
   */
  prepare(spec: ComponentSpec, options?: PrepareOptions): Promise<ReadyComponent>;
  /** Kernels that failed: they claim nothing any more, and ranges that they were part of are not ready. */
  readonly quarantined: readonly Quarantined[];
  /**
   * Runs a call, and again without the kernel that ended it, unless that is an error (`strict`, sealed).
   * @param call links what is ready then
   */
  surviving<T>(call: () => Promise<T>): Promise<T>;
  /** A load begins: proofs have a budget for each. */
  begin(): void;
  /** From now on a compile is an error. */
  seal(): void;
  readonly sealed: boolean;
}

/** What towers and pictures ask for their components, wherever those come from. */
export type ComponentProvider = Pick<Artifacts, "memory" | "quarantined" | "surviving" | "prepare">;

export async function createArtifacts(options: ArtifactsOptions): Promise<Artifacts> {
  const { places, store, ops, layers, journal } = options;
  const counters: ArtifactCounters = {
    compiled: 0,
    cacheHits: 0,
    packHits: 0,
    shared: 0,
    compileMs: 0,
    proven: 0,
    proofMs: 0,
    storedBytes: 0,
  };
  const known = new Map<string, ReadyArtifact>();
  const underWay = new Map<string, Shared<ReadyArtifact>>();
  const uncompiled = new Map<string, Uncompiled>();
  const quarantine = createQuarantine(options);
  const sources = await createArtifactSources(options, quarantine, counters);
  const proofs = new Map<Device, Proofs>();
  const tags = createTagRegister();
  let sealed = false;

  const proofsOf = ({ device }: Place): Proofs => {
    const own = proofs.get(device) ?? createProofs({ device, store, engine: options.engine, now: options.now });
    proofs.set(device, own);
    return own;
  };

  const obtain = async (
    order: Order,
    demand: Demand,
    { compiles, proves, proofs: scope }: Preparation,
    signal: AbortSignal | undefined,
  ): Promise<ReadyArtifact> => {
    const { kind } = order.place.device;
    const { tag } = order.spec;
    const range = boxText(order.box) || "no symbols";
    // Fetching code makes an engine compile too, so that a sealed runtime does neither.
    if (sealed && (demand.cause === "load" || !LOADING.includes(demand.cause))) throw new SealedError(tag, range);
    for (let cause = demand.cause; ; cause = "proof failed") {
      let made: Awaited<ReturnType<typeof sources.find>>;
      try {
        made = await compiles(() => {
          signal?.throwIfAborted();
          return sources.find(order);
        });
      } catch (error) {
        // An adapter may refuse a kernel's code.
        const when = error instanceof KernelContractError ? "when it was asked" : "when its code was loaded";
        if (!quarantine.stop(error, when)) throw quarantine.withReasons(error, kind);
        continue;
      }
      const { kept, ...found } = made;
      const { artifact, digest, origin, request } = found;
      if (origin !== "pack") await noteUse(store, request, dayOf(options.today()));
      const attestation = await proves(async () => {
        // The proof of another range may have put a kernel aside that this one was compiled with.
        if (usesAny(artifact, quarantine.of(kind))) return undefined;
        const begin = options.now();
        const { attestation, ms } = await proofsOf(order.place).attest(artifact, digest, origin, scope, signal);
        if (ms > 0) options.trace?.span({ kind: "proof", name: `${tag} ${range}`, tag, begin, end: options.now() });
        if (ms > 0) counters.proven++;
        counters.proofMs += ms;
        if (origin === "compiled" && !LOADING.includes(cause)) journal.recompiled({ tag, ...demand, cause });
        if (attestation.failures.length === 0) return attestation;
        quarantine.putAside(tag, range, order.place, attestation.failures);
        return undefined;
      });
      await kept;
      if (attestation !== undefined) return { ...found, attestation };
    }
  };

  const shared = async (
    order: Order,
    demand: Demand,
    preparation: Preparation,
    signal: AbortSignal | undefined,
  ): Promise<ReadyArtifact> => {
    const { kind, generation = 0 } = order.place.device;
    const key = `${kind} ${generation} ${sources.requestOf(order)}`;
    const there = known.get(key);
    if (there !== undefined || underWay.has(key)) counters.shared++;
    if (there !== undefined) return there;
    // A failure is not remembered: the next load may bring what was missing.
    const made = await joinShared(underWay, key, signal, () => obtain(order, demand, preparation, signal));
    known.set(key, made);
    return made;
  };

  const slot = (
    spec: ComponentSpec,
    settings: ComponentSettings,
    place: Place,
    { box, graph: traced }: TracedRange,
  ): RangeSlot => {
    const graph = digestJson(graphToData(traced));
    let made: ReadyArtifact | undefined;
    let generation = place.device.generation;
    let failed = false;
    let reopened = false;
    const current = (): ReadyArtifact | undefined => {
      if (made !== undefined && generation !== place.device.generation) {
        made = undefined;
        reopened = true;
      }
      if (made === undefined || !usesAny(made.artifact, quarantine.of(place.device.kind))) return made;
      made = undefined;
      failed = true;
      return made;
    };
    const obtainOnce: RangeSlot["obtain"] = async (demand, signal, given) => {
      const ready = current();
      if (ready !== undefined) return ready;
      const preparation = given ?? beginPreparation(proofsOf(place).scope());
      try {
        const cause = failed ? "kernel failed" : reopened ? "device reopened" : demand.cause;
        const why: Demand = { ...demand, cause };
        generation = place.device.generation;
        made = await shared({ spec, settings, place, box, graph }, why, preparation, signal);
        return made;
      } finally {
        if (given === undefined) preparation.proofs.release();
      }
    };
    return {
      box,
      graph,
      request: () => sources.requestFor(graphToData(traced), settings, place),
      ...portsOf(traced),
      get ready() {
        return current();
      },
      obtain: obtainOnce,
      examine: async () => {
        const { digest, origin } = await obtainOnce({ cause: "load" }, undefined);
        const without = quarantine.of(place.device.kind);
        const { now, findPlace } = options;
        return examine({
          spec,
          box,
          place,
          settings,
          without,
          ops,
          now,
          findPlace,
          artifact: origin === "pack" ? undefined : digest,
        });
      },
    };
  };

  return {
    memory: createRunnerMemory(options.fresh),
    counters,
    uncompiled,
    get quarantined() {
      return quarantine.all;
    },
    get sealed() {
      return sealed;
    },
    surviving: async (call) => {
      for (;;) {
        try {
          return await call();
        } catch (error) {
          if (sealed || !quarantine.stop(error)) throw error;
        }
      }
    },
    begin: () => {
      for (const one of proofs.values()) one.begin();
    },
    seal: () => {
      sealed = true;
    },
    prepare: async (spec, how = {}) => {
      const { plugin, call, home = places.home, cause = "load", over, defer = false, weights, signal } = how;
      const wanted = resolveSettings(spec, over === undefined ? layers : [over, ...layers], home, call);
      const place = await places.find(wanted);
      const own = gated(spec, wanted, place);
      const { ranges, splits } = await traceRanges(spec, boxesOf(spec, own), ops, {
        find: options.findPlace,
        maxArtifacts: own.maxArtifacts.value,
      }).catch((error: unknown) => {
        if (error instanceof TraceBreakError)
          journal.tell({ topic: "breaks", tag: spec.tag, text: traceBreakText(error.info) });
        throw error;
      });
      for (const split of splits) {
        journal.tell({ topic: "ranges", tag: spec.tag, text: `split ${splitText(split)}` });
      }
      const boxes = ranges.map((r) => r.box);
      journal.tell({ topic: "ranges", tag: spec.tag, text: boxes.map((b) => boxText(b) || "no symbols").join("; ") });
      const asksFacts = own.dtype.value === "f16" && own.enabled.value && place.capabilities.halves === true;
      const graphs = ranges.map(({ graph }) => graph);
      const facts =
        asksFacts && weights !== undefined
          ? await readWeightFacts(spec, graphs, weights, call?.calibrated === true, signal)
          : undefined;
      const settings = facts === undefined ? own : { ...own, facts };
      const slots = ranges.map((range) => slot(spec, settings, place, range));
      const structure = slots.map((s) => s.graph);
      if (plugin !== undefined) tags.claim(spec.tag, plugin, structure);
      if (settings.enabled.value) uncompiled.delete(spec.tag);
      else uncompiled.set(spec.tag, { tag: spec.tag, reason: settings.enabled.from });
      if (!settings.lazy.value && !defer) {
        await obtainAll(slots, { cause }, signal, beginPreparation(proofsOf(place).scope()));
      }
      return {
        spec,
        settings,
        device: place.device,
        target: place.target,
        boxes,
        splits,
        slots,
        get artifacts() {
          return slots.flatMap((s) => s.ready ?? []);
        },
      };
    },
  };
}
