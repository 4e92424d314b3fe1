/** Components to artifacts: traced, looked up, compiled only on a miss. One structure is compiled once. */
import type { Artifact, CompiledArtifact } from "../abi/artifact.ts";
import type { Device } from "../abi/device.ts";
import type { ComponentSpec } from "../abi/encoder.ts";
import type { CompileReport } from "../compile/compile.ts";
import { SealedError, TraceBreakError, traceBreakText } from "../core/diagnostics.ts";
import { digestBytes, digestJson } from "../core/digest.ts";
import type { Box } from "../core/dim.ts";
import { boxText } from "../core/range.ts";
import type { TraceSink } from "../core/trace.ts";
import { type CompileRequest, lookup, requestDigest, save } from "../exec/artifact_cache.ts";
import { dayOf, describe, noteUse } from "../exec/cache_entries.ts";
import { encodeArtifact } from "../exec/codec.ts";
import type { Pack } from "../exec/pack.ts";
import { joinShared, type Shared } from "../exec/shared_work.ts";
import type { Store } from "../exec/store/store.ts";
import { type Graph, graphToData } from "../ir/graph.ts";
import { createInterner, type OpTable } from "../ir/node.ts";
import { compilerDigest, loadCompiler } from "./compiler.ts";
import { type Examined, examine } from "./examine.ts";
import { gated } from "./gate.ts";
import type { Demand, Journal } from "./journal.ts";
import { tellCompile } from "./journal_texts.ts";
import { traceCompile } from "./load_spans.ts";
import type { Place, Places } from "./places.ts";
import { type ComponentPorts, portsOf } from "./ports.ts";
import { type Attestation, createProofs, type ProofScope, type Proofs } from "./proofs.ts";
import { createQuarantine, type Quarantined } from "./quarantine.ts";
import { boxesOf } from "./ranges.ts";
import { type CallSettings, type CompileLayers, type ComponentSettings, resolveSettings } from "./settings.ts";
import { createTagRegister } from "./tag_register.ts";
import { type AskedSplit, type PlaceFinder, splitText, type TracedRange, traceAgain, traceRanges } from "./trace.ts";

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
   * @param scope shared with other ranges of the component
   * @throws FoveaError `no_kernel`, `sealed`, `proof_failed`; the signal's reason on abort
   */
  obtain(demand: Demand, signal: AbortSignal | undefined, scope?: ProofScope): Promise<ReadyArtifact>;
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

export interface ArtifactCounters {
  /** Structures compiled. */
  compiled: number;
  /** Structures found in the store. */
  cacheHits: number;
  /** Structures found in packs. */
  packHits: number;
  /** Structures that an earlier component of this runtime had ready. */
  shared: number;
  compileMs: number;
  /** Artifacts of which something was proven on this device; others were attested before. */
  proven: number;
  proofMs: number;
  /** Bytes that were put into the store. */
  storedBytes: number;
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
  /** Told how long compiles and proofs took. */
  readonly trace?: TraceSink | undefined;
  /** Reads source maps, for the lines that messages name. */
  readonly findPlace: PlaceFinder;
  /** Milliseconds since 1970, for the day of the last use. */
  readonly today: () => number;
  /** Asked before the store. */
  readonly packs: readonly Pack[];
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
  /** Looked at between artifacts, and inside proofs. */
  readonly signal?: AbortSignal;
}

export interface Artifacts {
  readonly counters: Readonly<ArtifactCounters>;
  /** Components that run op by op, by tag. */
  readonly uncompiled: ReadonlyMap<string, Uncompiled>;
  /**
   * All ranges of a component; lazy ones without artifacts.
   * @throws FoveaError `invalid_range`, `shape_error`, `no_kernel`, `tag_conflict`, `impure_build`, TraceBreakError, and what
   * finding its device throws; the signal's reason on abort
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

/** Names of the kernels whose steps an artifact has. */
const kernelsOfArtifact = ({ steps }: CompiledArtifact["artifact"]): readonly string[] =>
  steps.map(({ kernel }) => kernel.slice(0, Math.max(0, kernel.lastIndexOf("/"))));

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

export async function createArtifacts(options: ArtifactsOptions): Promise<Artifacts> {
  const { places, store, ops, layers, journal } = options;
  // The compiler itself loads on the first miss.
  const compiler = await compilerDigest();
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
  const proofs = new Map<Device, Proofs>();
  const tags = createTagRegister();
  let sealed = false;

  const proofsOf = ({ device }: Place): Proofs => {
    const own = proofs.get(device) ?? createProofs({ device, store, engine: options.engine, now: options.now });
    proofs.set(device, own);
    return own;
  };

  /** The request of an order; kernels that were put aside make it another one. */
  const requestFor = (graph: unknown, settings: ComponentSettings, place: Place): CompileRequest => ({
    graph,
    target: place.target,
    enabled: settings.enabled.value,
    dtype: settings.dtype.value,
    plugins: place.plugins,
    compiler: compiler ?? "none",
    without: quarantine.of(place.device.kind),
  });
  const requestOf = ({ graph, settings, place }: Order): string => requestDigest(requestFor(graph, settings, place));

  const found = (compiled: CompiledArtifact, request: string, origin: Origin): Found => {
    const encoded = encodeArtifact(compiled.artifact);
    const [digest, bytes, blobs] = [digestBytes(encoded), encoded.length, blobSizes(compiled)];
    return { artifact: compiled.artifact, digest, request, origin, bytes, blobs, compileMs: 0 };
  };

  /** From the first pack that has the structure, without kernels that were put aside. */
  const fromPacks = async ({ graph, settings, place }: Order, request: string): Promise<Found | undefined> => {
    const query = {
      structure: graph,
      device: place.device.kind,
      target: place.target,
      enabled: settings.enabled.value,
      dtype: settings.dtype.value,
    };
    for (const pack of options.packs) {
      const entry = pack.find(query, place.capabilities);
      if (entry === undefined) continue;
      const compiled = await pack.load(entry);
      if (kernelsOfArtifact(compiled.artifact).some((k) => quarantine.of(place.device.kind).includes(k))) continue;
      await place.device.load(compiled.code);
      counters.packHits++;
      return found(compiled, request, "pack");
    }
    return undefined;
  };

  const fromStore = async ({ place }: Order, request: string): Promise<Found | undefined> => {
    const compiled = await lookup(store, request, place.capabilities);
    if (compiled === undefined) return undefined;
    await place.device.load(compiled.code);
    counters.cacheHits++;
    return found(compiled, request, "cache");
  };

  /** Keeps what was compiled, with what people want to know about it. */
  const keep = async (order: Order, request: string, traced: Graph, compiled: CompiledArtifact): Promise<string> => {
    const { spec, settings, place, box } = order;
    const artifact = await save(store, request, compiled, place.reads);
    const blobs = { ...Object.fromEntries(blobSizes(compiled)), [artifact]: encodeArtifact(compiled.artifact).length };
    counters.storedBytes += Object.values(blobs).reduce((a, b) => a + b, 0);
    await describe(store, request, {
      tag: spec.tag,
      device: place.device.kind,
      box,
      request: requestFor(graphToData(traced), settings, place),
      reads: place.reads,
      artifact,
      blobs,
    });
    return artifact;
  };

  const compile = async (order: Order, request: string): Promise<Found> => {
    const { spec, settings, place, box, graph } = order;
    const { compileGraph } = await loadCompiler(`component "${spec.tag}" over ${boxText(box) || "no symbols"}`);
    const begin = options.now();
    const interner = createInterner(ops);
    const aside = quarantine.of(place.device.kind);
    const traced = traceAgain(spec, box, interner, graph);
    const traceMs = options.now() - begin;
    const { report, ...compiled } = compileGraph(traced, {
      interner,
      kernels: place.kernels.filter((k) => !aside.includes(k.name)),
      target: place.target,
      capabilities: place.capabilities,
      enabled: settings.enabled.value,
      dtype: settings.dtype.value,
      now: options.now,
    });
    const compileMs = options.now() - begin;
    const passes = [{ name: "trace", begin, ms: traceMs }, ...report.passes];
    const range = boxText(box) || "no symbols";
    tellCompile(journal, { tag: spec.tag, range, report, passes });
    traceCompile(options.trace, { tag: spec.tag, range, begin, end: begin + compileMs, passes });
    counters.compiled++;
    counters.compileMs += compileMs;
    await place.device.load(compiled.code);
    const digest = await keep(order, request, traced, compiled satisfies CompiledArtifact);
    return { ...found(compiled, request, "compiled"), digest, compileMs, report };
  };

  const obtain = async (
    order: Order,
    demand: Demand,
    scope: ProofScope,
    signal: AbortSignal | undefined,
  ): Promise<ReadyArtifact> => {
    const { tag } = order.spec;
    const range = boxText(order.box) || "no symbols";
    // Fetching code makes an engine compile too, so that a sealed runtime does neither.
    if (sealed) throw new SealedError(tag, range);
    for (let cause = demand.cause; ; cause = "proof failed") {
      const request = requestOf(order);
      const cached = (await fromPacks(order, request)) ?? (await fromStore(order, request));
      journal.tell({ topic: "cache", tag, text: `${cached?.origin ?? "miss"} for ${range}` });
      const made = cached ?? (await compile(order, request));
      if (made.origin !== "pack") await noteUse(store, request, dayOf(options.today()));
      const { artifact, digest, origin } = made;
      const begin = options.now();
      const { attestation, ms } = await proofsOf(order.place).attest(artifact, digest, origin, scope, signal);
      if (ms > 0) options.trace?.span({ kind: "proof", name: `${tag} ${range}`, tag, begin, end: options.now() });
      if (ms > 0) counters.proven++;
      counters.proofMs += ms;
      if (cause !== "load") journal.recompiled({ tag, ...demand, cause });
      if (attestation.failures.length === 0) return { ...made, attestation };
      quarantine.putAside(tag, range, order.place, attestation.failures);
    }
  };

  const shared = async (
    order: Order,
    demand: Demand,
    scope: ProofScope,
    signal: AbortSignal | undefined,
  ): Promise<ReadyArtifact> => {
    const key = `${order.place.device.kind} ${requestOf(order)}`;
    const there = known.get(key);
    if (there !== undefined || underWay.has(key)) counters.shared++;
    if (there !== undefined) return there;
    // A failure is not remembered: the next load may bring what was missing.
    const made = await joinShared(underWay, key, signal, () => obtain(order, demand, scope, signal));
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
    let ready: ReadyArtifact | undefined;
    const obtainOnce: RangeSlot["obtain"] = async (demand, signal, given) => {
      if (ready !== undefined) return ready;
      const scope = given ?? proofsOf(place).scope();
      try {
        ready = await shared({ spec, settings, place, box, graph }, demand, scope, signal);
      } finally {
        if (given === undefined) scope.release();
      }
      return ready;
    };
    return {
      box,
      graph,
      request: () => requestFor(graphToData(traced), settings, place),
      ...portsOf(traced),
      get ready() {
        return ready;
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
    prepare: async (spec, { plugin, call, over, defer = false, signal } = {}) => {
      const wanted = resolveSettings(spec, over === undefined ? layers : [over, ...layers], places.home, call);
      const place = await places.find(wanted);
      const settings = gated(spec, wanted, place);
      const { ranges, splits } = await traceRanges(spec, boxesOf(spec, settings), ops, {
        find: options.findPlace,
        maxArtifacts: settings.maxArtifacts.value,
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
      const slots = ranges.map((range) => slot(spec, settings, place, range));
      const structure = slots.map((s) => s.graph);
      if (plugin !== undefined) tags.claim(spec.tag, plugin, structure);
      if (settings.enabled.value) uncompiled.delete(spec.tag);
      else uncompiled.set(spec.tag, { tag: spec.tag, reason: settings.enabled.from });
      if (!settings.lazy.value && !defer) {
        const scope = proofsOf(place).scope();
        try {
          for (const one of slots) await one.obtain({ cause: "load" }, signal, scope);
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
        splits,
        slots,
        get artifacts() {
          return slots.flatMap((s) => s.ready ?? []);
        },
      };
    },
  };
}
