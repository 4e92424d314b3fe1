/** The compile cache: request digest -> records -> artifact and code blobs, all addressed by the digest of their bytes. */
import type { CompiledArtifact } from "../abi/artifact.ts";
import type { Capabilities, CapabilityValue } from "../abi/device.ts";
import { canonicalJson } from "../core/canonical_json.ts";
import { digestJson } from "../core/digest.ts";
import type { KeptDType } from "../core/dtype.ts";
import type { WeightFacts } from "../core/weight_facts.ts";
import { codeDigests, decodeArtifact, type EncodedArtifact, encodeWithDigest } from "./codec.ts";
import { blobKey, getVerified } from "./store/content.ts";
import type { Store } from "./store/store.ts";

/** What a compile depends on. Holds no path, time, environment or host. */
export interface CompileRequest {
  /** Plain data of the traced graph, its range included. */
  readonly graph: unknown;
  readonly target: string;
  readonly enabled: boolean;
  /** Type that large weights are kept in. */
  readonly dtype: KeptDType;
  /** What is known of the weights' sizes, where that decides about values. */
  readonly facts?: WeightFacts;
  /** `name@version+revision` of every plugin that may claim. */
  readonly plugins: readonly string[];
  readonly compiler: string;
  /** Kernels that must not claim. */
  readonly without: readonly string[];
}

interface CacheRecord {
  /** Capability values that were read; a hit needs all equal. */
  readonly reads: Readonly<Record<string, CapabilityValue>>;
  readonly artifact: string;
}

export function requestDigest(request: CompileRequest): string {
  return digestJson(request);
}

/** A damaged record may name anything. */
const DIGEST = /^[0-9a-f]{64}$/;

/** Where a request's records lie. */
export const requestKey = (digest: string): string => `requests/${digest}`;

/** Records as bytes. Their own digest tells a damaged capability value from a true one. */
function encodeRecords(records: readonly CacheRecord[]): Uint8Array {
  return new TextEncoder().encode(canonicalJson({ digest: digestJson(records), records }));
}

function decodeRecords(bytes: Uint8Array | undefined): readonly CacheRecord[] {
  if (bytes === undefined) return [];
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as { digest?: string; records?: readonly CacheRecord[] };
    if (!Array.isArray(value.records) || value.digest !== digestJson(value.records)) return [];
    return value.records.filter((r) => DIGEST.test(r?.artifact) && typeof r.reads === "object" && r.reads !== null);
  } catch {
    return [];
  }
}

/** An artifact of a store, with what its bytes say: they need not be written again to know it. */
export interface CachedArtifact extends CompiledArtifact {
  /** Digest of its bytes. */
  readonly digest: string;
  /** Bytes of the encoded artifact. */
  readonly bytes: number;
}

/**
 * The cached artifact for a request on a device with these capabilities, or nothing. Damaged entries count as absent.
 * @param readCode gives the verified bytes of a code blob, in place of the store
 */
export async function lookup(
  store: Store,
  digest: string,
  capabilities: Capabilities,
  readCode: (digest: string) => Promise<Uint8Array | undefined> = (d) => getVerified(store, blobKey(d), d),
): Promise<CachedArtifact | undefined> {
  const records = decodeRecords(await store.get(requestKey(digest)));
  const record = records.find((r) => Object.entries(r.reads).every(([k, v]) => capabilities[k] === v));
  if (record === undefined) return undefined;
  const bytes = await getVerified(store, blobKey(record.artifact), record.artifact);
  if (bytes === undefined) return undefined;
  try {
    const artifact = decodeArtifact(bytes);
    const code = new Map<string, Uint8Array>();
    for (const d of codeDigests(artifact)) {
      const blob = await readCode(d);
      if (blob === undefined) return undefined;
      code.set(d, blob);
    }
    return { artifact, code, digest: record.artifact, bytes: bytes.length };
  } catch {
    return undefined;
  }
}

/** Stores blobs first and the request's record last: the record is the commit point. Returns the artifact's digest. */
export async function save(
  store: Store,
  digest: string,
  compiled: CompiledArtifact,
  reads: Readonly<Record<string, CapabilityValue>>,
  { bytes, digest: artifact }: EncodedArtifact = encodeWithDigest(compiled.artifact),
): Promise<string> {
  const blobs = [...compiled.code, [artifact, bytes] as const];
  await Promise.all(blobs.map(([d, blob]) => store.put(blobKey(d), blob)));
  const old = decodeRecords(await store.get(requestKey(digest)));
  const same = (r: CacheRecord): boolean => canonicalJson(r.reads) === canonicalJson(reads);
  const records = [{ reads, artifact }, ...old.filter((r) => !same(r))];
  await store.put(requestKey(digest), encodeRecords(records));
  return artifact;
}
