/** Formats of files of vectors, by the ends of their names. */
import { FoveaError } from "../../core/diagnostics.ts";
import type { Host } from "../../host/mod.ts";
import { checkOutFile } from "../../session/check_folder.ts";
import type { VectorTable } from "../vectors.ts";
import { readNpyVectors, writeNpyVectors } from "./npy.ts";
import { readParquet, writeParquet } from "./parquet.ts";
import { readSafetensorsVectors, writeSafetensorsVectors } from "./safetensors.ts";

export interface ReadVectorsOptions {
  /** False reads rows alone; width and vectors are empty then. */
  readonly vectors: boolean;
}

interface VectorFormat {
  readonly read: (host: Host, path: string, options: ReadVectorsOptions) => Promise<VectorTable>;
  readonly write: (host: Host, path: string, table: VectorTable) => Promise<void>;
}

const FORMATS: Readonly<Record<string, VectorFormat>> = {
  ".parquet": { read: readParquet, write: writeParquet },
  ".safetensors": { read: readSafetensorsVectors, write: writeSafetensorsVectors },
  ".npy": { read: readNpyVectors, write: writeNpyVectors },
};

/** Ends of names that files of vectors have. */
export const VECTOR_FORMATS: readonly string[] = Object.keys(FORMATS);

/** `.parquet`, `.safetensors` or `.npy`; nothing for other names. */
export const formatOf = (path: string): string | undefined => VECTOR_FORMATS.find((end) => path.endsWith(end));

function knownFormat(path: string): VectorFormat {
  const end = formatOf(path);
  if (end !== undefined) return FORMATS[end];
  throw new FoveaError(
    "bad_usage",
    `${path} is no file of vectors by its name; use one of ${VECTOR_FORMATS.join(", ")}.`,
  );
}

/** @throws FoveaError `bad_usage` for a name of no known format, `invalid_vectors` */
export async function readVectors(
  host: Host,
  path: string,
  options: ReadVectorsOptions = { vectors: true },
): Promise<VectorTable> {
  return knownFormat(path).read(host, path, options);
}

/** Writes all or nothing, and waits for the disk. @throws FoveaError `bad_usage` for a name of no known format */
export async function writeVectors(host: Host, path: string, table: VectorTable): Promise<void> {
  return knownFormat(path).write(host, path, table);
}

/** @throws FoveaError `bad_usage` for a name of no known format or a folder that is not there */
export async function checkOut(host: Host, out: string): Promise<void> {
  if (formatOf(out) === undefined) {
    throw new FoveaError(
      "bad_usage",
      `${out} has no known format; files of vectors end in ${VECTOR_FORMATS.join(", ")}.`,
    );
  }
  await checkOutFile(host, out);
}
