/** Components to artifacts: traced, looked up, compiled only on a miss. One structure is compiled once. */
import type { Artifact, CompiledArtifact } from "../abi/artifact.ts";
import type { Device } from "../abi/device.ts";
import type { ComponentSpec } from "../abi/encoder.ts";
import type { CompileReport } from "../compile/compile.ts";
import { FoveaError, SealedError } from "../core/diagnostics.ts";
import { digestBytes, digestJson } from "../core/digest.ts";
import type { Box } from "../core/dim.ts";
import { boxText, splitRanges } from "../core/range.ts";
import { lookup, requestDigest, save } from "../exec/artifact_cache.ts";
import { encodeArtifact } from "../exec/codec.ts";
import type { Store } from "../exec/store/store.ts";
import { graphToData } from "../ir/graph.ts";
import { createInterner, type OpTable } from "../ir/node.ts";
import { gated } from "./gate.ts";
import type { Demand, Journal } from "./journal.ts";
import type { Place, Places } from "./places.ts";
import { type ComponentPorts, portsOf } from "./ports.ts";
import { type Attestation, createProofs, type ProofScope, type Proofs } from "./proofs.ts";
import { createQuarantine, type Quarantined } from "./quarantine.ts";
import {
  type CallSettings,
  type CompileLayers,
  type ComponentSettings,
  type Resolved,
  resolveSettings,
} from "./settings.ts";
import { createTagRegister } from "./tag_register.ts";
import { traceComponent } from "./trace.ts";

export type Origin = "compiled" | "cache";

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
  readonly ready: ReadyArtifact | undefined;
  /**
   * Looks up or compiles, and proves, on the first call.
   * @param scope shared with other ranges of the component
   * @throws FoveaError `no_kernel`, `sealed`, `proof_failed`
   */
  obtain(demand: Demand, scope?: ProofScope): Promise<ReadyArtifact>;
}

export interface ReadyComponent {
  readonly spec: ComponentSpec;
  readonly settings: ComponentSettings;
  /** Device that runs it. */
  readonly device: Device;
  /** Target that its code is for. */
  readonly target: string;
  readonly boxes: readonly Box[];
  /** By position in `boxes`. */
  readonly slots: readonly RangeSlot[];
  /** Those that are there: all of them unless the component is lazy. */
  readonly artifacts: readonly ReadyArtifact[];
}

export interface ArtifactCounters {
  /** Structures compiled. */
  compiled: number;
  /** Structures found in the store. */
  cacheHits: number;
  /** Structures that an earlier component of this runtime had ready. */
  shared: number;
  compileMs: number;
  /** Artifacts of which something was proven on this device; others were attested before. */
  proven: number;
  proofMs: number;
}

/** A component that is not compiled, and why. */
export interface Uncompiled {
  readonly tag: string;
  readonly reason: string;
}

export interface ArtifactsOptions {
  readonly places: Places;
  readonly ops: OpTable;
  readonly store: Store;
  /** What was configured, the strongest first. */
  readonly layers: CompileLayers;
  /** A kernel that fails its proof is an error instead of being put aside. */
  readonly strict: boolean;
  readonly journal: Journal;
  /** Runtime and engine with their versions. */
  readonly engine: string;
  /** Told about each kernel that is put aside. */
  readonly onProblem: (sentence: string) => void;
  readonly now: () => number;
}

export interface PrepareOptions {
  /** Plugin that brings the component; nothing for a graph of the caller's own. */
  readonly plugin?: string;
  /** What the call asks for. */
  readonly call?: CallSettings;
  /** Stronger than everything that was configured. */
  readonly over?: CompileLayers[number];
  /** Compiles nothing: every range waits for its first use, whatever the settings say. */
  readonly defer?: boolean;
}

export interface Artifacts {
  readonly counters: Readonly<ArtifactCounters>;
  /** Components that run op by op, by tag. */
  readonly uncompiled: ReadonlyMap<string, Uncompiled>;
  /**
   * All ranges of a component; lazy ones without artifacts.
   * @throws FoveaError `invalid_range`, `shape_error`, `no_kernel`, `tag_conflict`, and what finding its device throws
   */
  prepare(spec: ComponentSpec, options?: PrepareOptions): Promise<ReadyComponent>;
  /** Kernels whose proofs failed: they claim nothing any more. */
  readonly quarantined: readonly Quarantined[];
  /** A load begins: proofs have a budget for each. */
  begin(): void;
  /** From now on a compile is an error. */
  seal(): void;
  readonly sealed: boolean;
}

const blobSizes = ({ code }: CompiledArtifact): ReadonlyMap<string, number> =>
  new Map([...code].map(([digest, blob]) => [digest, blob.length]));

/** An artifact before its proof. */
type Found = Omit<ReadyArtifact, "attestation">;

/** What is compiled: a component over one box under its settings. */
interface Order {
  readonly spec: ComponentSpec;
  readonly settings: ComponentSettings;
  readonly place: Place;
  readonly box: Box;
  /** Digest of the traced graph. */
  readonly graph: string;
}

/** The boxes of a component; what the configuration got wrong is told with its place. @throws FoveaError `invalid_range` */
function boxesOf(spec: ComponentSpec, { ranges, maxArtifacts }: ComponentSettings): readonly Box[] {
  try {
    return splitRanges(spec.symbols, ranges.value, { tag: spec.tag, maxArtifacts: maxArtifacts.value });
  } catch (error) {
    const configured = [ranges, maxArtifacts]
      .map((r: Resolved<unknown>) => r.from)
      .filter((from) => from.includes("compile."));
    if (!(error instanceof FoveaError) || configured.length === 0) throw error;
    throw new FoveaError(error.code, `${error.message} See ${[...new Set(configured)].join(" and ")}.`, {
      cause: error,
    });
  }
}

export async function createArtifacts(options: ArtifactsOptions): Promise<Artifacts> {
  const { places, store, ops, layers, journal } = options;
  // The digest of the compiler is plain data; the compiler itself loads on the first miss.
  const { SOURCE_DIGEST } = await import("../compile/source_digest.ts");
  const counters: ArtifactCounters = { compiled: 0, cacheHits: 0, shared: 0, compileMs: 0, proven: 0, proofMs: 0 };
  const known = new Map<string, Promise<ReadyArtifact>>();
  const uncompiled = new Map<string, Uncompiled>();
  const quarantine = createQuarantine(options);
  const proofs = new Map<Device, Proofs>();
  const tags = createTagRegister();
  let sealed = false;

  const proofsOf = ({ device }: Place): Proofs => {
    const own = proofs.get(device) ?? createProofs({ device, store, engine: options.engine, now: options.now });
    proofs.set(device, own);
    return own;
  };

  /** The request of an order; kernels that were put aside make it another one. */
  const requestOf = ({ graph, settings, place }: Order): string =>
    requestDigest({
      graph,
      target: place.target,
      enabled: settings.enabled.value,
      dtype: settings.dtype.value,
      plugins: place.plugins,
      compiler: SOURCE_DIGEST,
      without: quarantine.of(place.device.kind),
    });

  const fromStore = async ({ place }: Order, request: string): Promise<Found | undefined> => {
    const found = await lookup(store, request, place.capabilities);
    if (found === undefined) return undefined;
    await place.device.load(found.code);
    counters.cacheHits++;
    const { artifact } = found;
    const encoded = encodeArtifact(artifact);
    const [digest, bytes, blobs] = [digestBytes(encoded), encoded.length, blobSizes(found)];
    return { artifact, digest, request, origin: "cache", bytes, blobs, compileMs: 0 };
  };

  const compile = async ({ spec, settings, place, box }: Order, request: string): Promise<Found> => {
    const { compileGraph } = await import("../compile/compile.ts");
    const begin = options.now();
    const interner = createInterner(ops);
    const aside = quarantine.of(place.device.kind);
    const { report, ...compiled } = compileGraph(traceComponent(spec, box, interner), {
      interner,
      kernels: place.kernels.filter((k) => !aside.includes(k.name)),
      target: place.target,
      capabilities: place.capabilities,
      enabled: settings.enabled.value,
      dtype: settings.dtype.value,
    });
    const compileMs = options.now() - begin;
    counters.compiled++;
    counters.compileMs += compileMs;
    await place.device.load(compiled.code);
    const digest = await save(store, request, compiled satisfies CompiledArtifact, place.reads);
    const { artifact } = compiled;
    const [bytes, blobs] = [encodeArtifact(artifact).length, blobSizes(compiled)];
    return { artifact, digest, request, origin: "compiled", bytes, blobs, compileMs, report };
  };

  const obtain = async (order: Order, demand: Demand, scope: ProofScope): Promise<ReadyArtifact> => {
    const { tag } = order.spec;
    const range = boxText(order.box) || "no symbols";
    // Fetching code makes an engine compile too, so that a sealed runtime does neither.
    if (sealed) throw new SealedError(tag, range);
    for (let cause = demand.cause; ; cause = "proof failed") {
      const request = requestOf(order);
      const cached = await fromStore(order, request);
      journal.tell({ topic: "cache", tag, text: `${cached === undefined ? "miss" : "hit"} for ${range}` });
      const made = cached ?? (await compile(order, request));
      const { attestation, ms } = await proofsOf(order.place).attest(made.artifact, made.digest, made.origin, scope);
      if (ms > 0) counters.proven++;
      counters.proofMs += ms;
      if (cause !== "load") journal.recompiled({ tag, ...demand, cause });
      if (attestation.failures.length === 0) return { ...made, attestation };
      quarantine.putAside(tag, range, order.place, attestation.failures);
    }
  };

  const shared = (order: Order, demand: Demand, scope: ProofScope): Promise<ReadyArtifact> => {
    const key = `${order.place.device.kind} ${requestOf(order)}`;
    const pending = known.get(key);
    if (pending !== undefined) {
      counters.shared++;
      return pending;
    }
    const made = obtain(order, demand, scope);
    known.set(key, made);
    // A failure must not be remembered: the next load may bring what was missing.
    made.catch(() => known.delete(key));
    return made;
  };

  const slot = (spec: ComponentSpec, settings: ComponentSettings, place: Place, box: Box): RangeSlot => {
    const traced = traceComponent(spec, box, createInterner(ops));
    const graph = digestJson(graphToData(traced));
    let ready: ReadyArtifact | undefined;
    return {
      box,
      graph,
      ...portsOf(traced),
      get ready() {
        return ready;
      },
      obtain: async (demand, given) => {
        if (ready !== undefined) return ready;
        const scope = given ?? proofsOf(place).scope();
        try {
          ready = await shared({ spec, settings, place, box, graph }, demand, scope);
        } finally {
          if (given === undefined) scope.release();
        }
        return ready;
      },
    };
  };

  return {
    counters,
    uncompiled,
    get quarantined() {
      return quarantine.all;
    },
    get sealed() {
      return sealed;
    },
    begin: () => {
      for (const one of proofs.values()) one.begin();
    },
    seal: () => {
      sealed = true;
    },
    prepare: async (spec, { plugin, call, over, defer = false } = {}) => {
      const wanted = resolveSettings(spec, over === undefined ? layers : [over, ...layers], places.home, call);
      const place = await places.find(wanted);
      const settings = gated(spec, wanted, place);
      const boxes = boxesOf(spec, settings);
      const slots = boxes.map((box) => slot(spec, settings, place, box));
      const structure = slots.map((s) => s.graph);
      if (plugin !== undefined) tags.claim(spec.tag, plugin, structure);
      if (settings.enabled.value) uncompiled.delete(spec.tag);
      else uncompiled.set(spec.tag, { tag: spec.tag, reason: settings.enabled.from });
      if (!settings.lazy.value && !defer) {
        const scope = proofsOf(place).scope();
        try {
          for (const one of slots) await one.obtain({ cause: "load" }, scope);
        } finally {
          scope.release();
        }
      }
      return {
        spec,
        settings,
        device: place.device,
        target: place.target,
        boxes,
        slots,
        get artifacts() {
          return slots.flatMap((s) => s.ready ?? []);
        },
      };
    },
  };
}
