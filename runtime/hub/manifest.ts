/** What a pulled folder holds and of what: `.fovea/manifest.json` in it. Files are listed when they are whole. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "../host/mod.ts";
import type { RemoteFile } from "./repository.ts";

/** Folder inside of a model's folder for what is not the model: the manifest and unfinished downloads. */
export const OWN_FOLDER = ".fovea";

const FORMAT = 1;

export interface HeldFile {
  /** Bytes. */
  readonly size: number;
  /** Digest of its content, as the hub states it; of the recipe for files made of parts. */
  readonly identity: string;
}

export interface HeldWeights extends HeldFile {
  /** Remote file that its tensors are from, and that one's identity. */
  readonly source: string;
  readonly sourceIdentity: string;
}

export interface Manifest {
  readonly format: typeof FORMAT;
  readonly repository: string;
  readonly revision: string;
  readonly commit: string;
  /** All files of the commit. */
  readonly listing: readonly RemoteFile[];
  readonly files: Readonly<Record<string, HeldFile>>;
  readonly weights: Readonly<Record<string, HeldWeights>>;
}

const pathIn = (folder: string): string => `${folder}/${OWN_FOLDER}/manifest.json`;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Nothing where the folder was not pulled, and for manifests of other versions. */
export async function readManifest(host: Host, folder: string): Promise<Manifest | undefined> {
  let text: string;
  try {
    text = new TextDecoder().decode(await host.readFile(pathIn(folder)));
  } catch (error) {
    if (error instanceof FoveaError && error.code === "file.not_found") return undefined;
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    const whole =
      isObject(value) &&
      value.format === FORMAT &&
      typeof value.commit === "string" &&
      Array.isArray(value.listing) &&
      isObject(value.files) &&
      isObject(value.weights);
    return whole ? (value as unknown as Manifest) : undefined;
  } catch {
    return undefined;
  }
}

export function newManifest(of: Omit<Manifest, "format">): Manifest {
  return { format: FORMAT, ...of };
}

export async function saveManifest(host: Host, folder: string, manifest: Manifest): Promise<void> {
  await host.mkdir(`${folder}/${OWN_FOLDER}`);
  await host.writeFileAtomic(pathIn(folder), new TextEncoder().encode(`${JSON.stringify(manifest)}\n`));
}
