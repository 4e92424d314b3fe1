/**
 * Vectors in safetensors: the tensor `vectors` [rows, width] of f32; metadata `fovea` is the head and `files` a JSON list of
 * rows.
 */
import { FoveaError } from "../../core/diagnostics.ts";
import { parseSafetensors } from "../../exec/weights/safetensors.ts";
import { encodeSafetensors, readAllTensors } from "../../exec/weights/writer.ts";
import type { Host } from "../../host/mod.ts";
import { writeDurably } from "../durable.ts";
import { type FileRow, HEAD_KEY, headText, parseHead, type VectorTable } from "../vectors.ts";
import type { ReadVectorsOptions } from "./format.ts";

const TENSOR = "vectors";
const FILES = "files";

/** Readers refuse longer headers. */
const MAX_HEADER_BYTES = 100_000_000;

/** @throws FoveaError `too_many_rows` */
export async function writeSafetensorsVectors(host: Host, path: string, table: VectorTable): Promise<void> {
  const { head, rows, width, vectors } = table;
  const files = JSON.stringify(rows);
  if (2 * files.length > MAX_HEADER_BYTES) {
    throw new FoveaError(
      "too_many_rows",
      `The names of ${rows.length} files do not fit into the header of ${path}; write shards (--shard-rows), or .parquet.`,
    );
  }
  const tensor = { dtype: "f32", shape: [rows.length, width], data: vectors } as const;
  await writeDurably(host, path, [
    encodeSafetensors({ [TENSOR]: tensor }, { [HEAD_KEY]: headText(head), [FILES]: files }),
  ]);
}

export async function readSafetensorsVectors(
  host: Host,
  path: string,
  options: ReadVectorsOptions,
): Promise<VectorTable> {
  const bytes = await host.readFile(path);
  const { metadata } = parseSafetensors(path, bytes);
  const head = parseHead(metadata[HEAD_KEY], path);
  const rows = JSON.parse(metadata[FILES] ?? "[]") as FileRow[];
  if (!options.vectors) return { head, rows, width: 0, vectors: new Float32Array() };
  const { [TENSOR]: tensor } = readAllTensors(bytes, path);
  if (tensor?.dtype !== "f32" || tensor.shape.length !== 2 || tensor.shape[0] !== rows.length) {
    throw new FoveaError(
      "invalid_vectors",
      `${path} holds no tensor "${TENSOR}" of f32 with a row for each of its ${rows.length} files. Write it again.`,
    );
  }
  return { head, rows, width: tensor.shape[1], vectors: tensor.data as Float32Array };
}
