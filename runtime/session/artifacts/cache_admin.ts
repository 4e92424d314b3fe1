/** Questions to a compile cache that need a device or the compiler: why something missed, and whether what it holds is right. */
import type { Artifact } from "../../abi/artifact.ts";
import type { Box } from "../../core/dim.ts";
import { boxText } from "../../core/range.ts";
import { lookup, requestDigest } from "../../exec/artifact_cache.ts";
import { type CacheEntry, cacheEntries, entryProblem } from "../../exec/cache_entries.ts";
import { type Difference, firstDifference, likeness } from "../../exec/first_difference.ts";
import { failureText, proveArtifact } from "../../exec/prove.ts";
import type { Store } from "../../exec/store/store.ts";
import { graphFromData } from "../../ir/graph_data.ts";
import { createInterner, type OpTable } from "../../ir/node.ts";
import type { VerifyCacheOptions } from "../options.ts";
import type { RuntimeParts } from "../runtime_parts.ts";
import { loadCompiler } from "./compiler.ts";
import type { Place, Places } from "./places.ts";
import type { ReadyComponent } from "./ready_component.ts";

/** How the cache stands to one range of a component. */
export interface CacheMiss {
  /** Component. */
  readonly tag: string;
  /** In words, such as `batch 2..8, tokens 50`; `no symbols` for a component without any. */
  readonly range: string;
  /** True where the cache has it; all else is about misses. */
  readonly hit: boolean;
  /** The most similar entry of the same component by its request's digest, and the first leaf in which it differs. */
  readonly nearest?: { readonly request: string; readonly difference: Difference };
}

/** Hits and misses of all ranges, with what a miss differs in from the entry nearest to it. */
export async function cacheMisses(store: Store, components: readonly ReadyComponent[]): Promise<readonly CacheMiss[]> {
  const entries = await cacheEntries(store);
  const found: CacheMiss[] = [];
  for (const { spec, slots, device } of components) {
    for (const slot of slots) {
      const wanted = slot.request();
      const about = { tag: spec.tag, range: boxText(slot.box) || "no symbols" };
      const digest = requestDigest({ ...wanted, graph: slot.graph });
      if ((await lookup(store, digest, device.capabilities)) !== undefined) {
        found.push({ ...about, hit: true });
        continue;
      }
      const rivals = entries.filter((e) => e.tag === spec.tag);
      const best = rivals.reduce<CacheEntry | undefined>(
        (a, b) => (a === undefined || likeness(b.request, wanted) > likeness(a.request, wanted) ? b : a),
        undefined,
      );
      const difference = best && firstDifference(best.request, wanted);
      // Equal requests whose record is gone or was read by a device with other capabilities.
      const nearest =
        best === undefined
          ? undefined
          : { request: best.key, difference: difference ?? { path: "record", before: "absent", after: undefined } };
      found.push({ ...about, hit: false, ...(nearest === undefined ? {} : { nearest }) });
    }
  }
  return found;
}

/** An entry of a cache: one artifact for one request. */
export interface CheckedEntry {
  /** Digest of the request. */
  readonly key: string;
  /** Component that asked first. */
  readonly tag: string;
  /** Kind of the device that it was compiled for. */
  readonly device: string;
  /** Range that it was compiled for. */
  readonly box: Box;
  /** What was asked for: the target, and whether ops are fused. */
  readonly request: { readonly target: string; readonly enabled: boolean };
  /** Digest of the artifact. */
  readonly artifact: string;
  /** Bytes by digest: the artifact's and its code's. */
  readonly blobs: Readonly<Record<string, number>>;
  /** Day of the last use, counted from 1970; 0 where none was noted. */
  readonly usedOn: number;
}

/** What checking an entry found. */
export interface EntryCheck {
  /** The entry that was checked. */
  readonly entry: CheckedEntry;
  /** A sentence; nothing when all is right. */
  readonly problem?: string;
  /** Expectations that were compared; 0 where its device or target is not the runtime's. */
  readonly proven: number;
  /** Largest difference as a share of what passes. */
  readonly worst: number;
}

/** The artifact of an entry compiled again from its recorded graph, with more and larger expectations. */
async function compiledAgain(entry: CacheEntry, place: Place, ops: OpTable): Promise<Artifact> {
  const { compileGraph } = await loadCompiler(`component "${entry.tag}"`);
  const { FULL_EFFORT } = await import("../../compile/expect.ts");
  const interner = createInterner(ops);
  const { artifact, code } = compileGraph(graphFromData(entry.request.graph, interner.make), {
    interner,
    kernels: place.kernels.filter((k) => !entry.request.without.includes(k.name)),
    target: place.target,
    capabilities: place.capabilities,
    enabled: entry.request.enabled,
    dtype: entry.request.dtype,
    effort: FULL_EFFORT,
  });
  await place.device.load(code);
  return artifact;
}

/** Checks all entries of a runtime's cache, one after the other. */
export async function verifyEntries(
  { store, places, ops }: RuntimeParts,
  { full = false, onChecked }: VerifyCacheOptions,
): Promise<readonly EntryCheck[]> {
  const checks: EntryCheck[] = [];
  for (const entry of await cacheEntries(store)) {
    const check = await checkEntry(entry, { store, places, ops, full });
    checks.push(check);
    onChecked?.(check);
  }
  return checks;
}

/** Checks every byte of an entry and proves it on the runtime's device: all that it expects, or with `full` far more. */
async function checkEntry(
  entry: CacheEntry,
  options: { readonly store: Store; readonly places: Places; readonly ops: OpTable; readonly full: boolean },
): Promise<EntryCheck> {
  const { store, places, ops, full } = options;
  const damage = await entryProblem(store, entry);
  if (damage !== undefined) return { entry, problem: damage, proven: 0, worst: 0 };
  const { device, target } = places.home;
  if (entry.device !== device || entry.request.target !== target) return { entry, proven: 0, worst: 0 };
  const from = "runtime";
  const place = await places.find({ device: { value: device, from }, target: { value: target, from } });
  const cached = await lookup(store, entry.key, place.capabilities);
  if (cached === undefined) return { entry, proven: 0, worst: 0 };
  await place.device.load(cached.code);
  const artifact = full ? await compiledAgain(entry, place, ops) : cached.artifact;
  const { results } = await proveArtifact(place.device, artifact);
  const found = [...results.values()];
  const failure = found.find((r) => !r.pass);
  return {
    entry,
    proven: found.length,
    worst: Math.max(0, ...found.map((r) => r.worst / r.tolerance)),
    ...(failure === undefined ? {} : { problem: failureText(entry.tag, failure) }),
  };
}
