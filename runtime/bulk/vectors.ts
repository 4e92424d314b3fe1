/** Vectors of files: what a row is, and what a file of them says of itself. */
import type { Modality } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import type { WeightDType } from "../core/dtype.ts";

/** A file that was encoded. */
export interface FileRow {
  /** Path or address as it was given. */
  readonly path: string;
  /** SHA-256 of its bytes, lower-case hexadecimal. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** What made the vectors; kept in every file of them. */
export interface VectorHead {
  /** The model as it was named: a folder, `hf:organisation/name`, an address. */
  readonly model: string;
  /** `model_type` of its configuration. */
  readonly modelType: string;
  /** SHA-256 that `runtime.identify` gives. */
  readonly modelDigest: string;
  /** `organisation/name@commit` of models of the hub. */
  readonly revision?: string;
  /** Tower that made them. */
  readonly modality: Modality;
  /** Result that the vectors are, such as `image_embeds`. */
  readonly output: string;
  /** Type that large weights were kept in. */
  readonly dtype: WeightDType;
}

/** A row with its vector. */
export interface VectorEntry {
  readonly row: FileRow;
  /** [width], as the model gives it: not normalised. */
  readonly vector: Float32Array;
}

/** Rows in order, with their vectors below each other. */
export interface VectorTable {
  /** What made the vectors. */
  readonly head: VectorHead;
  /** Files by row. */
  readonly rows: readonly FileRow[];
  /** Numbers of a vector; 0 where there is no row. */
  readonly width: number;
  /** [rows, width], not normalised. */
  readonly vectors: Float32Array;
}

/** Tells a file's content at a path from any other. */
export const keyOf = ({ path, digest }: Pick<FileRow, "path" | "digest">): string => `${digest} ${path}`;

/** Name of the metadata under which formats keep the head. */
export const HEAD_KEY = "fovea";

const FORMAT = 1;

export function headText(head: VectorHead): string {
  return JSON.stringify({ format: FORMAT, ...head });
}

/** @param file for messages. @throws FoveaError `invalid_vectors` */
export function parseHead(text: string | undefined, file: string): VectorHead {
  let value: unknown;
  try {
    value = JSON.parse(text ?? "");
  } catch {
    value = undefined;
  }
  const { format, ...head } = (value ?? {}) as Partial<VectorHead> & { readonly format?: unknown };
  const named = [head.model, head.modelType, head.modelDigest, head.modality, head.output];
  if (format === FORMAT && named.every((field) => typeof field === "string")) return head as VectorHead;
  throw new FoveaError(
    "invalid_vectors",
    `${file} does not say which model its vectors are of; give a file that \`fovea embed\` or \`fovea queue collect\` wrote.`,
  );
}

const nameOf = ({ model, modelType, modelDigest, revision, output }: VectorHead): string =>
  `${output} of ${revision ?? model} (${modelType}, ${modelDigest.slice(0, 12)})`;

/**
 * Vectors of different models or results have nothing to do with each other.
 * @param file whose head `found` is
 * @param advice what the reader can do
 * @throws FoveaError `other_model`
 */
export function checkSameModel(
  found: VectorHead,
  expected: VectorHead,
  file: string,
  advice = "name that model, or write to another file",
): void {
  if (found.modelDigest === expected.modelDigest && found.output === expected.output) return;
  throw new FoveaError(
    "other_model",
    `${file} holds ${nameOf(found)}, and these would be ${nameOf(expected)}; ${advice}.`,
  );
}

/**
 * Vectors that go into one file, or into those of one run.
 * @throws FoveaError `other_model`, for weights of another type too
 */
export function checkSameVectors(found: VectorHead, expected: VectorHead, file: string): void {
  checkSameModel(found, expected, file);
  if (found.dtype === expected.dtype) return;
  throw new FoveaError(
    "other_model",
    `${file} holds vectors of weights in ${found.dtype}, and these would be of ${expected.dtype}; leave the type out or give ${found.dtype}, or write to another file.`,
  );
}

/** Rows of one width below each other. @throws FoveaError `invalid_vectors` */
export function tableOf(head: VectorHead, entries: readonly VectorEntry[]): VectorTable {
  const width = entries[0]?.vector.length ?? 0;
  const vectors = new Float32Array(entries.length * width);
  for (const [i, { row, vector }] of entries.entries()) {
    if (vector.length !== width) {
      throw new FoveaError(
        "invalid_vectors",
        `The vector of ${row.path} has ${vector.length} numbers, and others have ${width}; one file holds vectors of one width.`,
      );
    }
    vectors.set(vector, i * width);
  }
  return { head, rows: entries.map(({ row }) => row), width, vectors };
}

/** Rows of a table one by one; their vectors are views. */
export function entriesOf({ rows, width, vectors }: VectorTable): readonly VectorEntry[] {
  return rows.map((row, i) => ({ row, vector: vectors.subarray(i * width, (i + 1) * width) }));
}
