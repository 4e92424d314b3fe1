/** Components to artifacts: traced, looked up, compiled only on a miss. One structure is compiled once. */
import type { Artifact, CompiledArtifact } from "../abi/artifact.ts";
import type { Capabilities, Device } from "../abi/device.ts";
import type { ComponentSpec } from "../abi/encoder.ts";
import type { KernelSpec } from "../abi/kernel.ts";
import type { Plugin } from "../abi/plugin.ts";
import type { CompileReport } from "../compile/compile.ts";
import { FoveaError, SealedError } from "../core/diagnostics.ts";
import { digestBytes, digestJson } from "../core/digest.ts";
import type { Box, Dim } from "../core/dim.ts";
import type { DType } from "../core/dtype.ts";
import { boxText, splitRanges } from "../core/range.ts";
import { lookup, requestDigest, save } from "../exec/artifact_cache.ts";
import { encodeArtifact } from "../exec/codec.ts";
import { failureText, ProofError, type ProofResult } from "../exec/prove.ts";
import type { Store } from "../exec/store/store.ts";
import { type Graph, graphToData } from "../ir/graph.ts";
import { createInterner, type OpTable } from "../ir/node.ts";
import type { Demand, Journal } from "./journal.ts";
import { type Attestation, createProofs, type ProofScope } from "./proofs.ts";
import { type CompileConfig, type ComponentSettings, resolveSettings } from "./settings.ts";
import { type AskedSplit, type PlaceFinder, splitText, type TracedRange, traceAgain, traceRanges } from "./trace.ts";

export type Origin = "compiled" | "cache";

/** One range of a component, ready to run. */
export interface ReadyArtifact {
  readonly artifact: Artifact;
  /** Digest of its bytes. */
  readonly digest: string;
  readonly request: string;
  readonly origin: Origin;
  /** Milliseconds of compiling; 0 from the cache. */
  readonly compileMs: number;
  /** What this device measured about it. */
  readonly attestation: Attestation;
  /** Texts of the compiler's stages; absent when it came from the cache. */
  readonly report?: CompileReport;
}

/** A kernel that was put aside, and why. */
export interface Quarantined {
  readonly kernel: string;
  /** A sentence. */
  readonly reason: string;
}

/** An input or output of a component, its sizes symbolic. */
export interface ComponentPort {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

/** One range of a component and, once somebody needed it, its artifact. */
export interface RangeSlot {
  readonly box: Box;
  /** Digest of the traced graph. */
  readonly graph: string;
  readonly inputs: readonly ComponentPort[];
  readonly outputs: readonly ComponentPort[];
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
  /** Structures that an earlier component of this runtime had ready. */
  shared: number;
  compileMs: number;
  /** Artifacts of which something was proven on this device; others were attested before. */
  proven: number;
  proofMs: number;
}

export interface ArtifactsOptions {
  readonly device: Device;
  readonly plugins: readonly Plugin[];
  readonly ops: OpTable;
  readonly store: Store;
  readonly config: CompileConfig;
  readonly journal: Journal;
  /** Runtime and engine with their versions. */
  readonly engine: string;
  /** Told about each kernel that is put aside. */
  readonly onProblem: (sentence: string) => void;
  readonly now: () => number;
  /** Reads source maps, for the lines that messages name. */
  readonly findPlace: PlaceFinder;
}

export interface Artifacts {
  readonly counters: Readonly<ArtifactCounters>;
  /** All ranges of a component; lazy ones without artifacts. @throws FoveaError `invalid_range`, `shape_error`, `no_kernel`, `impure_build`, TraceBreakError */
  prepare(spec: ComponentSpec): Promise<ReadyComponent>;
  /** Kernels whose proofs failed: they claim nothing any more. */
  readonly quarantined: readonly Quarantined[];
  /** A load begins: proofs have a budget for each. */
  begin(): void;
  /** From now on a compile is an error. */
  seal(): void;
  readonly sealed: boolean;
}

const pluginIdentity = (p: Plugin): string =>
  `${p.name}@${p.version}${p.revision === undefined ? "" : `+${p.revision}`}`;

/** Only values that kernels may read decide about a hit. */
function readValues(plugins: readonly Plugin[], device: string, capabilities: Capabilities): Capabilities {
  const names = new Set(
    plugins
      .flatMap((p) => p.kernels ?? [])
      .filter((k) => k.device === device)
      .flatMap((k) => k.reads),
  );
  return Object.fromEntries(
    [...names]
      .sort()
      .filter((n) => n in capabilities)
      .map((n) => [n, capabilities[n]]),
  );
}

const portsOf = (graph: Graph): Pick<RangeSlot, "inputs" | "outputs"> => ({
  inputs: graph.inputs.map(({ attributes, dtype, shape }) => ({ name: attributes.name as string, dtype, shape })),
  outputs: graph.outputs.map(({ name, node }) => ({ name, dtype: node.dtype, shape: node.shape })),
});

/** An artifact before its proof. */
type Found = Omit<ReadyArtifact, "attestation">;

/** What is compiled: a component over one box under its settings. */
interface Order {
  readonly spec: ComponentSpec;
  readonly settings: ComponentSettings;
  readonly box: Box;
  /** Digest of the traced graph. */
  readonly graph: string;
}

/** Kernels of one device; each name stands for one. @throws FoveaError `invalid_plugin` */
function kernelsOf(plugins: readonly Plugin[], device: string): readonly KernelSpec[] {
  const owner = new Map<string, string>();
  return plugins.flatMap((plugin) =>
    (plugin.kernels ?? [])
      .filter((k) => k.device === device)
      .map((kernel) => {
        const other = owner.get(kernel.name);
        if (other !== undefined) {
          throw new FoveaError(
            "invalid_plugin",
            `The plugins "${other}" and "${plugin.name}" both bring a kernel "${kernel.name}" for the device "${device}"; rename one, since kernels are told apart by their names.`,
          );
        }
        owner.set(kernel.name, plugin.name);
        return kernel;
      }),
  );
}

/** Name of the kernel that a failed proof blames: steps are called `kernel/step`. */
const blamed = ({ kernel }: ProofResult): string => kernel.slice(0, Math.max(0, kernel.lastIndexOf("/")));

export async function createArtifacts(options: ArtifactsOptions): Promise<Artifacts> {
  const { device, store, plugins, ops, config, journal } = options;
  // The digest of the compiler is plain data; the compiler itself loads on the first miss.
  const { SOURCE_DIGEST } = await import("../compile/source_digest.ts");
  const kernels = kernelsOf(plugins, device.kind);
  const identities = plugins
    .filter((p) => p.kernels?.some((k) => k.device === device.kind) || p.ops !== undefined)
    .map(pluginIdentity);
  const reads = readValues(plugins, device.kind, device.capabilities);
  const proofs = createProofs({ device, store, engine: options.engine, now: options.now });
  const counters: ArtifactCounters = { compiled: 0, cacheHits: 0, shared: 0, compileMs: 0, proven: 0, proofMs: 0 };
  const known = new Map<string, Promise<ReadyArtifact>>();
  const quarantined = new Map<string, Quarantined>();
  let sealed = false;

  /** The request of an order; kernels that were put aside make it another one. */
  const requestOf = (graph: string, enabled: boolean): string =>
    requestDigest({
      graph,
      target: device.target,
      enabled,
      plugins: identities,
      compiler: SOURCE_DIGEST,
      without: [...quarantined.keys()].sort(),
    });

  const fromStore = async (request: string): Promise<Found | undefined> => {
    const found = await lookup(store, request, device.capabilities);
    if (found === undefined) return undefined;
    await device.load(found.code);
    counters.cacheHits++;
    const { artifact } = found;
    return { artifact, digest: digestBytes(encodeArtifact(artifact)), request, origin: "cache", compileMs: 0 };
  };

  const compile = async ({ spec, settings, box, graph }: Order, request: string): Promise<Found> => {
    const { compileGraph } = await import("../compile/compile.ts");
    const begin = options.now();
    const interner = createInterner(ops);
    const traced = traceAgain(spec, box, interner, graph);
    const { report, ...compiled } = compileGraph(traced, {
      interner,
      kernels: kernels.filter((k) => !quarantined.has(k.name)),
      target: device.target,
      capabilities: device.capabilities,
      enabled: settings.enabled.value,
    });
    const compileMs = options.now() - begin;
    counters.compiled++;
    counters.compileMs += compileMs;
    await device.load(compiled.code);
    const digest = await save(store, request, compiled satisfies CompiledArtifact, reads);
    return { artifact: compiled.artifact, digest, request, origin: "compiled", compileMs, report };
  };

  /** Puts the kernels aside that failed. @throws ProofError where none is left to put aside, or with `strict` */
  const putAside = (order: Order, failures: readonly ProofResult[]): void => {
    const range = boxText(order.box) || "no symbols";
    const isNew = (f: ProofResult): boolean => kernels.some((k) => k.name === blamed(f)) && !quarantined.has(blamed(f));
    if (config.strict === true || !failures.every(isNew)) throw new ProofError(order.spec.tag, range, failures[0]);
    for (const failure of failures) {
      const kernel = blamed(failure);
      if (quarantined.has(kernel)) continue;
      const reason = `The kernel "${kernel}" was put aside: ${failureText(order.spec.tag, failure)}`;
      quarantined.set(kernel, { kernel, reason });
      options.onProblem(reason);
    }
  };

  const obtain = async (order: Order, demand: Demand, scope: ProofScope): Promise<ReadyArtifact> => {
    const { tag } = order.spec;
    const range = boxText(order.box) || "no symbols";
    // Fetching code makes an engine compile too, so that a sealed runtime does neither.
    if (sealed) throw new SealedError(tag, range);
    for (let cause = demand.cause; ; cause = "proof failed") {
      const request = requestOf(order.graph, order.settings.enabled.value);
      const cached = await fromStore(request);
      journal.tell({ topic: "cache", tag, text: `${cached === undefined ? "miss" : "hit"} for ${range}` });
      const made = cached ?? (await compile(order, request));
      const { attestation, ms } = await proofs.attest(made.artifact, made.digest, made.origin, scope);
      if (ms > 0) counters.proven++;
      counters.proofMs += ms;
      if (cause !== "load") journal.recompiled({ tag, ...demand, cause });
      if (attestation.failures.length === 0) return { ...made, attestation };
      putAside(order, attestation.failures);
    }
  };

  const shared = (order: Order, demand: Demand, scope: ProofScope): Promise<ReadyArtifact> => {
    const request = requestOf(order.graph, order.settings.enabled.value);
    const pending = known.get(request);
    if (pending !== undefined) {
      counters.shared++;
      return pending;
    }
    const made = obtain(order, demand, scope);
    known.set(request, made);
    // A failure must not be remembered: the next load may bring what was missing.
    made.catch(() => known.delete(request));
    return made;
  };

  const slot = (spec: ComponentSpec, settings: ComponentSettings, { box, graph: traced }: TracedRange): RangeSlot => {
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
        const scope = given ?? proofs.scope();
        try {
          ready = await shared({ spec, settings, box, graph }, demand, scope);
        } finally {
          if (given === undefined) scope.release();
        }
        return ready;
      },
    };
  };

  return {
    counters,
    get quarantined() {
      return [...quarantined.values()];
    },
    get sealed() {
      return sealed;
    },
    begin: () => proofs.begin(),
    seal: () => {
      sealed = true;
    },
    prepare: async (spec) => {
      const settings = resolveSettings(spec, config);
      const maxArtifacts = settings.maxArtifacts.value;
      const declared = splitRanges(spec.symbols, settings.ranges.value, {
        tag: spec.tag,
        maxArtifacts,
        relations: spec.relations ?? [],
      });
      const { ranges, splits } = await traceRanges(spec, declared, ops, { find: options.findPlace, maxArtifacts });
      for (const split of splits) {
        journal.tell({ topic: "ranges", tag: spec.tag, text: `split ${splitText(split)}` });
      }
      const boxes = ranges.map((r) => r.box);
      const slots = ranges.map((range) => slot(spec, settings, range));
      if (!settings.lazy.value) {
        const scope = proofs.scope();
        try {
          for (const one of slots) await one.obtain({ cause: "load" }, scope);
        } finally {
          scope.release();
        }
      }
      return {
        spec,
        settings,
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
