/** Weights on the hub: where they are, and readers of their headers. */
import { FoveaError } from "../core/diagnostics.ts";
import { type ByteSource, memorySource } from "../exec/weights/byte_source.ts";
import { readSafetensorsHeader, type SafetensorsHeader } from "../exec/weights/safetensors.ts";
import { INDEX_FILE, SINGLE_FILE } from "../exec/weights/weight_index.ts";
import type { Host } from "../host/mod.ts";
import { checkDigest, startDigest } from "./content_digest.ts";
import type { Listing, RemoteFile, Repository } from "./repository.ts";

const LOOSE = /^model[^/]*\.safetensors$/;

/** Files at the top of a model that are weights or name them: the folder has its own instead. */
export const isWeightFile = (name: string): boolean => LOOSE.test(name) || name === INDEX_FILE;

/** The files that hold a model's tensors, chosen as a folder's are: a single one, those of an index, loose ones. */
export function weightFiles(files: readonly RemoteFile[], where: string): readonly RemoteFile[] | "indexed" {
  const single = files.find((f) => f.name === SINGLE_FILE);
  if (single !== undefined) return [single];
  if (files.some((f) => f.name === INDEX_FILE)) return "indexed";
  const loose = files.filter((f) => LOOSE.test(f.name));
  if (loose.length > 0) return loose;
  const other = files
    .map((f) => f.name)
    .filter((name) => /\.(bin|pt|pth|h5|msgpack|onnx|gguf|safetensors)$/.test(name));
  const found = other.length === 0 ? "no weights" : other.slice(0, 5).join(", ");
  throw new FoveaError(
    "no_checkpoint",
    `${where} holds no weights that fovea reads: expected ${SINGLE_FILE}, or ${INDEX_FILE} with its files; found ${found}. Weights in other formats must be converted to safetensors.`,
  );
}

/** A remote file that is read in ranges, one request for each. */
export function remoteSource(repository: Repository, commit: string, file: RemoteFile, where: string): ByteSource {
  return {
    name: `${file.name} of ${where}`,
    size: file.size,
    read: async (into, position) => {
      const end = Math.min(position + into.length, file.size);
      if (end <= position) return 0;
      const stream = await repository.read(commit, file, position, end);
      const bytes = new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
      if (bytes.length !== end - position) {
        throw new FoveaError(
          "hub.broken",
          `The download of ${file.name} broke off after ${bytes.length} of ${end - position} bytes. Try again.`,
        );
      }
      into.set(bytes);
      return bytes.length;
    },
    close: async () => undefined,
  };
}

/** A remote file in memory, its digest checked. */
export async function wholeSource(host: Host, source: ByteSource, file: RemoteFile): Promise<ByteSource> {
  const bytes = new Uint8Array(file.size);
  await source.read(bytes, 0);
  const digest = await startDigest(host, file);
  digest.update(bytes);
  checkDigest(digest, file, source.name);
  return memorySource(source.name, bytes);
}

export function remoteHeader(
  repository: Repository,
  { commit }: Listing,
  file: RemoteFile,
  where: string,
): Promise<SafetensorsHeader> {
  return readSafetensorsHeader(remoteSource(repository, commit, file, where));
}
