/**
 * Vectors in Apache Parquet: columns `path` and `digest` (UTF-8), `size` (INT64) and `vector` (a list of FLOAT), none of them
 * nullable; the head is the file's key-value metadata `fovea`.
 */
import { FoveaError } from "../../core/diagnostics.ts";
import type { Host } from "../../host/mod.ts";
import { writeDurably } from "../durable.ts";
import { HEAD_KEY, headText, parseHead, type VectorTable } from "../vectors.ts";
import type { ReadVectorsOptions } from "./format.ts";

/** Rows of a row group: what readers keep in memory at once. */
const GROUP_ROWS = 2048;

/** Bytes that a row takes beside its vector, and a file beside its rows: enough that its memory need not grow. */
const ROW_BYTES = 256;
const ROOM_BYTES = 2 ** 16;

const LEAF = { repetition_type: "REQUIRED" } as const;

const SCHEMA = [
  { name: "root", num_children: 4 },
  { name: "path", type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" }, ...LEAF },
  { name: "digest", type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" }, ...LEAF },
  { name: "size", type: "INT64", ...LEAF },
  { name: "vector", converted_type: "LIST", logical_type: { type: "LIST" }, num_children: 1, ...LEAF },
  { name: "list", repetition_type: "REPEATED", num_children: 1 },
  { name: "element", type: "FLOAT", ...LEAF },
] as const;

export async function writeParquet(host: Host, path: string, table: VectorTable): Promise<void> {
  const { ByteWriter, ParquetWriter } = await import("#parquet-writer");
  const { head, rows, width, vectors } = table;
  const bytes = new ByteWriter(vectors.byteLength + ROOM_BYTES + rows.length * ROW_BYTES);
  const writer = new ParquetWriter({
    writer: bytes,
    schema: SCHEMA.map((element) => ({ ...element })),
    kvMetadata: [{ key: HEAD_KEY, value: headText(head) }],
    createdBy: "fovea",
  });
  for (let from = 0; from < rows.length; from += GROUP_ROWS) {
    const group = rows.slice(from, from + GROUP_ROWS);
    await writer.write({
      rowGroupSize: GROUP_ROWS,
      columnData: [
        { name: "path", data: group.map((row) => row.path) },
        { name: "digest", data: group.map((row) => row.digest) },
        { name: "size", data: group.map((row) => BigInt(row.size)) },
        {
          name: "vector",
          // Numbers of no pattern: compressing and counting them costs time and saves nothing.
          ...{ encoding: "PLAIN", codec: "UNCOMPRESSED", statistics: false },
          data: group.map((_, i) => Array.from(vectors.subarray((from + i) * width, (from + i + 1) * width))),
        },
      ],
    });
  }
  await writer.finish();
  await writeDurably(host, path, [bytes.getBytes()]);
}

const broken = (path: string, cause: unknown): FoveaError =>
  new FoveaError(
    "invalid_vectors",
    `${path} is no Parquet file of vectors: ${(cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, "")}. Write it again.`,
    { cause },
  );

export async function readParquet(host: Host, path: string, options: ReadVectorsOptions): Promise<VectorTable> {
  const { parquetMetadataAsync, parquetReadObjects } = await import("#parquet-reader");
  const opened = await host.openFile(path);
  const file = {
    byteLength: opened.size,
    slice: async (start: number, end: number = opened.size): Promise<ArrayBuffer> => {
      const part = new Uint8Array(end - start);
      await opened.read(part, start);
      return part.buffer;
    },
  };
  try {
    const metadata = await parquetMetadataAsync(file).catch((cause: unknown) => {
      throw broken(path, cause);
    });
    const head = parseHead(metadata.key_value_metadata?.find(({ key }) => key === HEAD_KEY)?.value, path);
    const count = Number(metadata.num_rows);
    const columns = ["path", "digest", "size", ...(options.vectors ? ["vector"] : [])];
    const rows: VectorTable["rows"][number][] = [];
    let [width, vectors] = [0, new Float32Array()];
    for (const group of metadata.row_groups) {
      const [rowStart, rowEnd] = [rows.length, rows.length + Number(group.num_rows)];
      const found = await parquetReadObjects({ file, metadata, columns, rowStart, rowEnd }).catch((cause: unknown) => {
        throw broken(path, cause);
      });
      for (const { path: name, digest, size, vector } of found) {
        if (options.vectors) {
          if (vectors.length === 0) [width, vectors] = [vector.length, new Float32Array(count * vector.length)];
          vectors.set(vector, rows.length * width);
        }
        rows.push({ path: name, digest, size: Number(size) });
      }
    }
    return { head, rows, width, vectors };
  } finally {
    await opened.close();
  }
}
