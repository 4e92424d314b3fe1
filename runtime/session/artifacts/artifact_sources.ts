/** Where an artifact comes from before it is proven: a pack, the store, or the compiler, which loads on the first miss. */
import type { CompiledArtifact } from "../../abi/artifact.ts";
import type { ComponentSpec } from "../../abi/encoder.ts";
import type { Box } from "../../core/dim.ts";
import { boxText } from "../../core/range.ts";
import type { TraceSink } from "../../core/trace.ts";
import { type CachedArtifact, type CompileRequest, lookup, requestDigest, save } from "../../exec/artifact_cache.ts";
import { describe } from "../../exec/cache_entries.ts";
import { type EncodedArtifact, encodeWithDigest } from "../../exec/codec.ts";
import type { Pack } from "../../exec/pack.ts";
import { blobKey, getVerified } from "../../exec/store/content.ts";
import type { Store } from "../../exec/store/store.ts";
import { type Graph, graphToData } from "../../ir/graph.ts";
import { createInterner, type OpTable } from "../../ir/node.ts";
import type { ComponentSettings } from "../config/settings.ts";
import { compilerDigest, loadCompiler } from "./compiler.ts";
import type { Journal } from "./journal.ts";
import { tellCompile } from "./journal_texts.ts";
import { loadCode } from "./load_code.ts";
import { traceCompile } from "./load_spans.ts";
import type { Place } from "./places.ts";
import type { Quarantine } from "./quarantine.ts";
import type { Origin, ReadyArtifact } from "./ready_component.ts";
import { traceAgain } from "./trace.ts";

/** Names of the kernels whose steps an artifact has. */
const kernelsOfArtifact = ({ steps }: CompiledArtifact["artifact"]): readonly string[] =>
  steps.map(({ kernel }) => kernel.slice(0, Math.max(0, kernel.lastIndexOf("/"))));

/** Whether an artifact has steps of one of these kernels. */
export function usesAny(artifact: CompiledArtifact["artifact"], kernels: readonly string[]): boolean {
  return kernels.length > 0 && kernelsOfArtifact(artifact).some((k) => kernels.includes(k));
}

const blobSizes = ({ code }: CompiledArtifact): ReadonlyMap<string, number> =>
  new Map([...code].map(([digest, blob]) => [digest, blob.length]));

/** An artifact before its proof. */
export interface Found extends Omit<ReadyArtifact, "attestation"> {
  /** The store has it, where it was compiled. */
  readonly kept?: Promise<void>;
}

/** What is compiled: a component over one box under its settings. */
export interface Order {
  readonly spec: ComponentSpec;
  readonly settings: ComponentSettings;
  readonly place: Place;
  readonly box: Box;
  /** Digest of the traced graph. */
  readonly graph: string;
}

/** What is counted where artifacts come from. */
export interface SourceCounters {
  /** Structures compiled. */
  compiled: number;
  /** Structures found in the store. */
  cacheHits: number;
  /** Structures found in packs. */
  packHits: number;
  /** Milliseconds of compiling, tracing included. */
  compileMs: number;
  /** Bytes that were put into the store. */
  storedBytes: number;
}

export interface SourceOptions {
  readonly ops: OpTable;
  readonly store: Store;
  readonly journal: Journal;
  readonly now: () => number;
  /** Told how long compiles took. */
  readonly trace?: TraceSink | undefined;
  /** Asked before the store. */
  readonly packs: readonly Pack[];
}

export interface ArtifactSources {
  /** The request of a graph; kernels that were put aside make it another one. */
  requestFor(graph: unknown, settings: ComponentSettings, place: Place): CompileRequest;
  /** Digest of an order's request. */
  requestOf(order: Order): string;
  /** From a pack or the store, else compiled and stored; its code is loaded. @throws FoveaError `no_kernel`, `impure_build` */
  find(order: Order): Promise<Found>;
}

export async function createArtifactSources(
  options: SourceOptions,
  quarantine: Quarantine,
  counters: SourceCounters,
): Promise<ArtifactSources> {
  const { store, ops, journal } = options;
  const compiler = await compilerDigest();

  const requestFor = (graph: unknown, settings: ComponentSettings, place: Place): CompileRequest => ({
    graph,
    target: place.target,
    enabled: settings.enabled.value,
    dtype: settings.dtype.value,
    ...(settings.facts === undefined ? {} : { facts: settings.facts }),
    plugins: place.plugins,
    compiler: compiler ?? "none",
    without: quarantine.of(place.device.kind),
  });
  const requestOf = ({ graph, settings, place }: Order): string => requestDigest(requestFor(graph, settings, place));

  const found = (
    compiled: CompiledArtifact,
    { digest, bytes }: Pick<CachedArtifact, "digest" | "bytes">,
    request: string,
    origin: Origin,
    place: Place,
  ): Found => {
    const blobs = blobSizes(compiled);
    const fragile = place.kernels.filter((k) => k.mayFail === true).map((k) => k.name);
    const mayFail = usesAny(compiled.artifact, fragile);
    return { artifact: compiled.artifact, digest, request, origin, bytes, blobs, compileMs: 0, mayFail };
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
      if (usesAny(compiled.artifact, quarantine.of(place.device.kind))) continue;
      await loadCode(place.device, compiled);
      counters.packHits++;
      const identity = { digest: entry.artifact, bytes: pack.manifest.blobs[entry.artifact] };
      return found(compiled, identity, request, "pack", place);
    }
    return undefined;
  };

  /** Code that was read: ranges share most of theirs. */
  const codes = new Map<string, Uint8Array>();
  const readCode = async (digest: string): Promise<Uint8Array | undefined> => {
    const blob = codes.get(digest) ?? (await getVerified(store, blobKey(digest), digest));
    if (blob !== undefined) codes.set(digest, blob);
    return blob;
  };

  const fromStore = async ({ place }: Order, request: string): Promise<Found | undefined> => {
    const compiled = await lookup(store, request, place.capabilities, readCode);
    if (compiled === undefined) return undefined;
    await loadCode(place.device, compiled);
    counters.cacheHits++;
    return found(compiled, compiled, request, "cache", place);
  };

  /** Keeps what was compiled, with what people want to know about it. */
  const keep = async (
    order: Order,
    request: string,
    traced: Graph,
    compiled: CompiledArtifact,
    encoded: EncodedArtifact,
  ): Promise<void> => {
    const { spec, settings, place, box } = order;
    const digest = await save(store, request, compiled, place.reads, encoded);
    const blobs = { ...Object.fromEntries(blobSizes(compiled)), [digest]: encoded.bytes.length };
    counters.storedBytes += Object.values(blobs).reduce((a, b) => a + b, 0);
    await describe(store, request, {
      tag: spec.tag,
      device: place.device.kind,
      box,
      request: requestFor(graphToData(traced), settings, place),
      reads: place.reads,
      artifact: digest,
      blobs,
    });
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
      ...(settings.facts === undefined ? {} : { facts: settings.facts }),
      now: options.now,
    });
    const compileMs = options.now() - begin;
    const passes = [{ name: "trace", begin, ms: traceMs }, ...report.passes];
    const range = boxText(box) || "no symbols";
    tellCompile(journal, { tag: spec.tag, range, report, passes });
    traceCompile(options.trace, { tag: spec.tag, range, begin, end: begin + compileMs, passes });
    counters.compiled++;
    counters.compileMs += compileMs;
    await loadCode(place.device, compiled);
    const encoded = encodeWithDigest(compiled.artifact);
    const identity = { digest: encoded.digest, bytes: encoded.bytes.length };
    const kept = keep(order, request, traced, compiled satisfies CompiledArtifact, encoded);
    // Whoever waits for it is told; nobody may, after another failure.
    kept.catch(() => {});
    return { ...found(compiled, identity, request, "compiled", place), compileMs, report, kept };
  };

  return {
    requestFor,
    requestOf,
    find: async (order) => {
      const request = requestOf(order);
      const cached = (await fromPacks(order, request)) ?? (await fromStore(order, request));
      const range = boxText(order.box) || "no symbols";
      const came = cached === undefined ? "miss" : cached.origin === "pack" ? "pack" : "hit";
      journal.tell({ topic: "cache", tag: order.spec.tag, text: `${came} for ${range}` });
      return cached ?? (await compile(order, request));
    },
  };
}
