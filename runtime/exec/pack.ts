/**
 * Packs: artifacts of a model for several targets with their code, to publish beside a checkpoint or to carry a cache
 * elsewhere. A folder of `manifest.json`, written last, and `blobs/<digest>`; every byte is checked by its digest.
 */
import type { Artifact, CompiledArtifact } from "../abi/artifact.ts";
import type { Capabilities } from "../abi/device.ts";
import { canonicalJson } from "../core/canonical_json.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { digestBytes, digestJson } from "../core/digest.ts";
import type { Box } from "../core/dim.ts";
import { boxText } from "../core/range.ts";
import { checkArtifact } from "./artifact_shape.ts";
import { codeDigests, decodeArtifact, encodeArtifact } from "./codec.ts";
import { isStoreKey } from "./store/store.ts";

export const PACK_FORMAT = 1;
const MANIFEST = "manifest.json";

/** Keys of a cache under which it has what was measured about devices' targets. */
export const TUNING = "tuning/";

/** What an artifact of a pack was compiled from and for. */
export interface PackEntry {
  /** Component. */
  readonly tag: string;
  /** Range that it serves. */
  readonly box: Box;
  /** Digest of the traced graph. */
  readonly structure: string;
  /** Kind of the device that it is for. */
  readonly device: string;
  /** Target of that device. */
  readonly target: string;
  /** False where every op runs alone. */
  readonly enabled: boolean;
  /** Type that large weights are kept in. */
  readonly dtype: string;
  /** Digest of the request in a cache. */
  readonly request: string;
  /** Capability values that were read; a device needs all equal. */
  readonly reads: Capabilities;
  /** Digest of the artifact's bytes. */
  readonly artifact: string;
  /** Digest of a cache's description of the request, where one came along. */
  readonly description?: string;
}

/** What a pack says of itself: its `manifest.json`. */
export interface PackManifest {
  /** 1; packs of other formats are refused. */
  readonly format: number;
  /** Version of fovea that wrote it. */
  readonly fovea: string;
  /** `model_type` of the model that it was built for; nothing for a cache. */
  readonly model?: string;
  /** One for each artifact and target. */
  readonly entries: readonly PackEntry[];
  /** Bytes by digest. */
  readonly blobs: Readonly<Record<string, number>>;
  /** Of a cache: what was measured about devices' targets, digests of blobs by the keys that a cache has them under. */
  readonly tuning?: Readonly<Record<string, string>>;
}

/** A folder to read: names are relative, with slashes. */
export interface PackFiles {
  /** For messages. */
  readonly description: string;
  /** @throws FoveaError `file.not_found` */
  read(name: string): Promise<Uint8Array>;
}

export interface PackFolder {
  write(name: string, bytes: Uint8Array): Promise<void>;
}

/** What somebody needs of a pack. */
export type PackQuery = Pick<PackEntry, "structure" | "device" | "target" | "enabled" | "dtype">;

export interface Pack {
  readonly description: string;
  readonly manifest: PackManifest;
  /** The entry of a structure that these capabilities can run, or nothing. */
  find(query: PackQuery, capabilities: Capabilities): PackEntry | undefined;
  /** @throws FoveaError `damaged_pack` naming the blob */
  load(entry: PackEntry): Promise<CompiledArtifact>;
  /** Bytes of a blob, checked. @throws FoveaError `damaged_pack` */
  blob(digest: string): Promise<Uint8Array>;
}

function damaged(where: string, problem: string, cause?: unknown): FoveaError {
  return new FoveaError(
    "damaged_pack",
    `The pack ${where} cannot be used: ${problem} Build or download it again.`,
    cause === undefined ? {} : { cause },
  );
}

function parseManifest(bytes: Uint8Array, where: string): PackManifest {
  let value: Partial<PackManifest> | null;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Partial<PackManifest> | null;
  } catch (cause) {
    throw damaged(where, `its ${MANIFEST} is not JSON.`, cause);
  }
  if (value?.format !== PACK_FORMAT) {
    throw damaged(where, `its format is ${String(value?.format)}, and this fovea reads format ${PACK_FORMAT}.`);
  }
  if (!Array.isArray(value.entries) || typeof value.blobs !== "object" || value.blobs === null)
    throw damaged(where, `its ${MANIFEST} lists no entries and blobs.`);
  if (value.tuning !== undefined && !(isRecord(value.tuning) && Object.entries(value.tuning).every(isTuningRecord)))
    throw damaged(where, `the \`tuning\` of its ${MANIFEST} names no digests by a cache's keys.`);
  const wrong = value.entries.findIndex((entry) => !isEntry(entry));
  if (wrong >= 0) throw damaged(where, `entry ${wrong} of its ${MANIFEST} lacks what an artifact is found by.`);
  return value as PackManifest;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isTuningRecord = ([key, digest]: [string, unknown]): boolean =>
  key.startsWith(TUNING) && isStoreKey(key) && typeof digest === "string";

const FOUND_BY: readonly (keyof PackEntry)[] = ["structure", "device", "target", "dtype", "request", "artifact"];

const isEntry = (entry: unknown): boolean =>
  isRecord(entry) &&
  isRecord(entry.reads) &&
  isRecord(entry.box) &&
  FOUND_BY.every((name) => typeof entry[name] === "string");

/** @throws FoveaError `damaged_pack` */
function readArtifact(where: string, digest: string, bytes: Uint8Array): Artifact {
  try {
    const artifact = decodeArtifact(bytes);
    checkArtifact(artifact);
    return artifact;
  } catch (cause) {
    if (!(cause instanceof FoveaError)) throw cause;
    throw damaged(where, `its blob ${digest} is no plan. ${cause.message}`, cause);
  }
}

/** Opens a pack; blobs are read when they are needed. @throws FoveaError `no_pack`, `damaged_pack` */
export async function openPack(files: PackFiles): Promise<Pack> {
  const where = files.description;
  let bytes: Uint8Array;
  try {
    bytes = await files.read(MANIFEST);
  } catch (cause) {
    throw new FoveaError(
      "no_pack",
      `There is no pack at ${where}: it has no ${MANIFEST}. Make one with \`fovea build\`, or check the place.`,
      { cause },
    );
  }
  const manifest = parseManifest(bytes, where);
  const blob = async (digest: string): Promise<Uint8Array> => {
    const size = manifest.blobs[digest];
    if (size === undefined) throw damaged(where, `it names the blob ${digest} and does not list it.`);
    const found = await files.read(`blobs/${digest}`).catch((cause: unknown) => {
      throw damaged(where, `its blob ${digest} is missing.`, cause);
    });
    if (found.length !== size || digestBytes(found) !== digest)
      throw damaged(where, `its blob ${digest} is damaged (${found.length} of ${size} bytes).`);
    return found;
  };
  return {
    description: where,
    manifest,
    find: (query, capabilities) =>
      manifest.entries.find(
        (e) =>
          e.structure === query.structure &&
          e.device === query.device &&
          e.target === query.target &&
          e.enabled === query.enabled &&
          e.dtype === query.dtype &&
          Object.entries(e.reads).every(([name, value]) => capabilities[name] === value),
      ),
    load: async (entry) => {
      const artifact = readArtifact(where, entry.artifact, await blob(entry.artifact));
      const code = new Map<string, Uint8Array>();
      for (const digest of codeDigests(artifact)) code.set(digest, await blob(digest));
      return { artifact, code };
    },
    blob,
  };
}

/** An artifact on its way into a pack. */
export interface PackItem extends Omit<PackEntry, "artifact" | "description"> {
  readonly compiled: CompiledArtifact;
  /** Canonical JSON of a cache's description. */
  readonly description?: Uint8Array;
}

/** Writes blobs, then the manifest. Equal items give equal bytes. @param tuning records by their keys */
export async function writePack(
  folder: PackFolder,
  items: readonly PackItem[],
  about: Pick<PackManifest, "fovea" | "model">,
  tuning: ReadonlyMap<string, Uint8Array> = new Map(),
): Promise<PackManifest> {
  const blobs = new Map<string, number>();
  const put = async (bytes: Uint8Array): Promise<string> => {
    const digest = digestBytes(bytes);
    if (!blobs.has(digest)) await folder.write(`blobs/${digest}`, bytes);
    blobs.set(digest, bytes.length);
    return digest;
  };
  const entries: PackEntry[] = [];
  for (const { compiled, description, ...rest } of items) {
    for (const code of compiled.code.values()) await put(code);
    entries.push({
      ...rest,
      artifact: await put(encodeArtifact(compiled.artifact)),
      ...(description === undefined ? {} : { description: await put(description) }),
    });
  }
  const orderOf = (e: PackEntry): string => [e.tag, boxText(e.box), e.device, e.target, digestJson(e)].join("\n");
  entries.sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
  const records: Record<string, string> = {};
  for (const [key, bytes] of tuning) records[key] = await put(bytes);
  const manifest: PackManifest = {
    format: PACK_FORMAT,
    ...about,
    entries,
    ...(tuning.size === 0 ? {} : { tuning: records }),
    blobs: Object.fromEntries([...blobs].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  await folder.write(MANIFEST, new TextEncoder().encode(`${canonicalJson(manifest)}\n`));
  return manifest;
}
