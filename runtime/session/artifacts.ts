/** Components to artifacts: traced, looked up, compiled only on a miss. One structure is compiled once. */
import type { Artifact, CompiledArtifact } from "../abi/artifact.ts";
import type { Capabilities, Device } from "../abi/device.ts";
import type { ComponentSpec } from "../abi/encoder.ts";
import type { Plugin } from "../abi/plugin.ts";
import type { CompileReport } from "../compile/compile.ts";
import { digestBytes, digestJson } from "../core/digest.ts";
import type { Box } from "../core/dim.ts";
import { splitRanges } from "../core/range.ts";
import { lookup, requestDigest, save } from "../exec/artifact_cache.ts";
import { encodeArtifact } from "../exec/codec.ts";
import type { Store } from "../exec/store/store.ts";
import { createGraphBuilder } from "../ir/builder.ts";
import { type Graph, graphToData } from "../ir/graph.ts";
import { createInterner, type Interner, type OpTable } from "../ir/node.ts";

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

export interface ReadyComponent {
  readonly spec: ComponentSpec;
  readonly boxes: readonly Box[];
  /** By position in `boxes`. */
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
  /** False covers every op alone. */
  readonly enabled: boolean;
  readonly now: () => number;
}

export interface Artifacts {
  readonly counters: Readonly<ArtifactCounters>;
  /** All ranges of a component. @throws FoveaError `invalid_range`, `shape_error`, `no_kernel` */
  prepare(spec: ComponentSpec): Promise<ReadyComponent>;
}

/** Builds a component's graph over one box. */
export function traceComponent(spec: ComponentSpec, box: Box, interner: Interner): Graph {
  const builder = createGraphBuilder({ symbols: box, interner });
  spec.build(builder);
  return builder.finish();
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

export async function createArtifacts(options: ArtifactsOptions): Promise<Artifacts> {
  const { device, store, plugins, ops } = options;
  // The digest of the compiler is plain data; the compiler itself loads on the first miss.
  const { SOURCE_DIGEST } = await import("../compile/source_digest.ts");
  const kernels = plugins.flatMap((p) => p.kernels ?? []).filter((k) => k.device === device.kind);
  const identities = plugins
    .filter((p) => p.kernels?.some((k) => k.device === device.kind) || p.ops !== undefined)
    .map(pluginIdentity);
  const reads = readValues(plugins, device.kind, device.capabilities);
  const counters: ArtifactCounters = { compiled: 0, cacheHits: 0, shared: 0, compileMs: 0 };
  const known = new Map<string, Promise<ReadyArtifact>>();

  const ready = async (spec: ComponentSpec, box: Box, request: string): Promise<ReadyArtifact> => {
    const cached = await lookup(store, request, device.capabilities);
    if (cached !== undefined) {
      await device.load(cached.code);
      counters.cacheHits++;
      return {
        artifact: cached.artifact,
        digest: digestBytes(encodeArtifact(cached.artifact)),
        request,
        origin: "cache",
        compileMs: 0,
      };
    }
    const { compileGraph } = await import("../compile/compile.ts");
    const begin = options.now();
    const interner = createInterner(ops);
    const { report, ...compiled } = compileGraph(traceComponent(spec, box, interner), {
      interner,
      kernels,
      target: device.target,
      capabilities: device.capabilities,
      enabled: options.enabled,
    });
    const compileMs = options.now() - begin;
    counters.compiled++;
    counters.compileMs += compileMs;
    await device.load(compiled.code);
    const digest = await save(store, request, compiled satisfies CompiledArtifact, reads);
    return { artifact: compiled.artifact, digest, request, origin: "compiled", compileMs, report };
  };

  return {
    counters,
    prepare: async (spec) => {
      const boxes = splitRanges(spec.symbols, spec.ranges ?? {}, {
        tag: spec.tag,
        ...(spec.maxArtifacts === undefined ? {} : { maxArtifacts: spec.maxArtifacts }),
      });
      const artifacts: ReadyArtifact[] = [];
      for (const box of boxes) {
        const request = requestDigest({
          graph: digestJson(graphToData(traceComponent(spec, box, createInterner(ops)))),
          target: device.target,
          enabled: options.enabled,
          plugins: identities,
          compiler: SOURCE_DIGEST,
        });
        let pending = known.get(request);
        if (pending === undefined) {
          pending = ready(spec, box, request);
          known.set(request, pending);
          // A failure must not be remembered: the next load may bring what was missing.
          pending.catch(() => known.delete(request));
        } else {
          counters.shared++;
        }
        artifacts.push(await pending);
      }
      return { spec, boxes, artifacts };
    },
  };
}
