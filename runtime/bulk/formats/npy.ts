/**
 * Vectors in NumPy's format: `x.npy` [rows, width] of f32, and beside it `x.npy.jsonl`, whose first line is the head with the
 * digest of `x.npy` and whose other lines are the rows.
 */
import { FoveaError } from "../../core/diagnostics.ts";
import { viewAs } from "../../core/dtype.ts";
import { encodeNpy } from "../../exec/weights/writer.ts";
import type { Host } from "../../host/mod.ts";
import { writeDurably } from "../durable.ts";
import { type FileRow, headText, parseHead, type VectorTable } from "../vectors.ts";
import type { ReadVectorsOptions } from "./format.ts";

const ROWS_SUFFIX = ".jsonl";

function digestOf(host: Host, bytes: Uint8Array): string {
  const digest = host.createDigest();
  digest.update(bytes);
  return digest.hex();
}

export async function writeNpyVectors(host: Host, path: string, table: VectorTable): Promise<void> {
  const { head, rows, width, vectors } = table;
  const bytes = encodeNpy({ dtype: "f32", shape: [rows.length, width], data: vectors });
  const first = { ...(JSON.parse(headText(head)) as object), npy: digestOf(host, bytes) };
  const lines = [first, ...rows].map((line) => `${JSON.stringify(line)}\n`).join("");
  // The array is what counts as written, so that it comes last.
  await writeDurably(host, `${path}${ROWS_SUFFIX}`, [new TextEncoder().encode(lines)]);
  await writeDurably(host, path, [bytes]);
}

/** The first line, which has the array's digest, and the rows; nothing where they are not what {@link writeNpyVectors} writes. */
function parseRows(
  text: string,
): { readonly head: Readonly<Record<string, unknown>>; readonly rows: readonly FileRow[] } | undefined {
  try {
    const [head, ...rows] = text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as unknown);
    return [head, ...rows].every(isRecord) ? { head: head as never, rows: rows as never } : undefined;
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

async function readRows(host: Host, path: string): Promise<string> {
  try {
    return new TextDecoder().decode(await host.readFile(`${path}${ROWS_SUFFIX}`));
  } catch (cause) {
    if (!(cause instanceof FoveaError) || cause.code !== "file.not_found") throw cause;
    throw new FoveaError(
      "invalid_vectors",
      `${path} does not say which model its vectors are of, for ${path}${ROWS_SUFFIX} is not there; give a file that \`fovea embed\` or \`fovea queue collect\` wrote, with what lies beside it.`,
      { cause },
    );
  }
}

/** @throws FoveaError `invalid_vectors`, `file.*` */
export async function readNpyVectors(host: Host, path: string, options: ReadVectorsOptions): Promise<VectorTable> {
  const bytes = await host.readFile(path);
  const found = parseRows(await readRows(host, path));
  const start = bytes.length < 10 ? 0 : 10 + new DataView(bytes.buffer, bytes.byteOffset).getUint16(8, true);
  const numbers = (bytes.length - start) / 4;
  const width = found === undefined || found.rows.length === 0 ? 0 : numbers / found.rows.length;
  if (found === undefined || found.head.npy !== digestOf(host, bytes) || !Number.isInteger(width)) {
    throw new FoveaError(
      "invalid_vectors",
      `${path} and ${path}${ROWS_SUFFIX} do not belong together; delete both and write them again.`,
    );
  }
  const { rows } = found;
  const { npy: _, ...head } = found.head;
  const parsed = parseHead(JSON.stringify(head), path);
  if (!options.vectors) return { head: parsed, rows, width: 0, vectors: new Float32Array() };
  return { head: parsed, rows, width, vectors: viewAs("f32", bytes.subarray(start)).slice() };
}
