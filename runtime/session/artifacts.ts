/** Components to artifacts: traced, looked up, compiled only on a miss. One structure is compiled once. */
import type { Artifact, CompiledArtifact } from "../abi/artifact.ts";
import type { Capabilities, Device } from "../abi/device.ts";
import type { ComponentSpec } from "../abi/encoder.ts";
import type { Plugin } from "../abi/plugin.ts";
import type { CompileReport } from "../compile/compile.ts";
import { SealedError } from "../core/diagnostics.ts";
import { digestBytes, digestJson } from "../core/digest.ts";
import type { Box, Dim } from "../core/dim.ts";
import type { DType } from "../core/dtype.ts";
import { boxText, splitRanges } from "../core/range.ts";
import { lookup, requestDigest, save } from "../exec/artifact_cache.ts";
import { encodeArtifact } from "../exec/codec.ts";
import type { Store } from "../exec/store/store.ts";
import { type Graph, graphToData } from "../ir/graph.ts";
import { createInterner, type OpTable } from "../ir/node.ts";
import type { Demand, Journal } from "./journal.ts";
import { type CompileConfig, type ComponentSettings, resolveSettings } from "./settings.ts";
import { traceComponent } from "./trace.ts";

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
  /** Texts of the compiler's stages; absent when it came from the cache. */
  readonly report?: CompileReport;
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
  readonly request: string;
  readonly inputs: readonly ComponentPort[];
  readonly outputs: readonly ComponentPort[];
  readonly ready: ReadyArtifact | undefined;
  /** Looks up or compiles on the first call. @throws FoveaError `no_kernel`, `sealed` */
  obtain(demand: Demand): Promise<ReadyArtifact>;
}

export interface ReadyComponent {
  readonly spec: ComponentSpec;
  readonly settings: ComponentSettings;
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
}

export interface ArtifactsOptions {
  readonly device: Device;
  readonly plugins: readonly Plugin[];
  readonly ops: OpTable;
  readonly store: Store;
  readonly config: CompileConfig;
  readonly journal: Journal;
  readonly now: () => number;
}

export interface Artifacts {
  readonly counters: Readonly<ArtifactCounters>;
  /** All ranges of a component; lazy ones without artifacts. @throws FoveaError `invalid_range`, `shape_error`, `no_kernel` */
  prepare(spec: ComponentSpec): Promise<ReadyComponent>;
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

/** What is compiled: a component over one box under its settings. */
interface Order {
  readonly spec: ComponentSpec;
  readonly settings: ComponentSettings;
  readonly box: Box;
  readonly request: string;
}

export async function createArtifacts(options: ArtifactsOptions): Promise<Artifacts> {
  const { device, store, plugins, ops, config, journal } = options;
  // The digest of the compiler is plain data; the compiler itself loads on the first miss.
  const { SOURCE_DIGEST } = await import("../compile/source_digest.ts");
  const kernels = plugins.flatMap((p) => p.kernels ?? []).filter((k) => k.device === device.kind);
  const identities = plugins
    .filter((p) => p.kernels?.some((k) => k.device === device.kind) || p.ops !== undefined)
    .map(pluginIdentity);
  const reads = readValues(plugins, device.kind, device.capabilities);
  const counters: ArtifactCounters = { compiled: 0, cacheHits: 0, shared: 0, compileMs: 0 };
  const known = new Map<string, Promise<ReadyArtifact>>();
  let sealed = false;

  const fromStore = async (request: string): Promise<ReadyArtifact | undefined> => {
    const cached = await lookup(store, request, device.capabilities);
    if (cached === undefined) return undefined;
    await device.load(cached.code);
    counters.cacheHits++;
    const { artifact } = cached;
    return { artifact, digest: digestBytes(encodeArtifact(artifact)), request, origin: "cache", compileMs: 0 };
  };

  const compile = async ({ spec, settings, box, request }: Order): Promise<ReadyArtifact> => {
    const { compileGraph } = await import("../compile/compile.ts");
    const begin = options.now();
    const interner = createInterner(ops);
    const { report, ...compiled } = compileGraph(traceComponent(spec, box, interner), {
      interner,
      kernels,
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

  const obtain = async (order: Order, demand: Demand): Promise<ReadyArtifact> => {
    const { tag } = order.spec;
    const range = boxText(order.box) || "no symbols";
    // Fetching code makes an engine compile too, so that a sealed runtime does neither.
    if (sealed) throw new SealedError(tag, range);
    const cached = await fromStore(order.request);
    journal.tell({ topic: "cache", tag, text: `${cached === undefined ? "miss" : "hit"} for ${range}` });
    const made = cached ?? (await compile(order));
    if (demand.cause !== "load") journal.recompiled({ tag, ...demand });
    return made;
  };

  const shared = (order: Order, demand: Demand): Promise<ReadyArtifact> => {
    const pending = known.get(order.request);
    if (pending !== undefined) {
      counters.shared++;
      return pending;
    }
    const made = obtain(order, demand);
    known.set(order.request, made);
    // A failure must not be remembered: the next load may bring what was missing.
    made.catch(() => known.delete(order.request));
    return made;
  };

  const slot = (spec: ComponentSpec, settings: ComponentSettings, box: Box): RangeSlot => {
    const graph = traceComponent(spec, box, createInterner(ops));
    const request = requestDigest({
      graph: digestJson(graphToData(graph)),
      target: device.target,
      enabled: settings.enabled.value,
      plugins: identities,
      compiler: SOURCE_DIGEST,
    });
    let ready: ReadyArtifact | undefined;
    return {
      box,
      request,
      ...portsOf(graph),
      get ready() {
        return ready;
      },
      obtain: async (demand) => {
        ready ??= await shared({ spec, settings, box, request }, demand);
        return ready;
      },
    };
  };

  return {
    counters,
    get sealed() {
      return sealed;
    },
    seal: () => {
      sealed = true;
    },
    prepare: async (spec) => {
      const settings = resolveSettings(spec, config);
      const boxes = splitRanges(spec.symbols, settings.ranges.value, {
        tag: spec.tag,
        maxArtifacts: settings.maxArtifacts.value,
      });
      const slots = boxes.map((box) => slot(spec, settings, box));
      if (!settings.lazy.value) for (const one of slots) await one.obtain({ cause: "load" });
      return {
        spec,
        settings,
        boxes,
        slots,
        get artifacts() {
          return slots.flatMap((s) => s.ready ?? []);
        },
      };
    },
  };
}
