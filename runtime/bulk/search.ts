/** The nearest vectors of a text or a picture. */

import type { Modality, Tensor } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { detectHost, type Host } from "../host/mod.ts";
import type { Encoder, ImageInput, LoadOptions, Runtime } from "../session.ts";
import { checkPlaces, checkQuery, checkSearchOptions } from "./check_options.ts";
import { findVectorFiles } from "./find_vectors.ts";
import { readVectors } from "./formats/format.ts";
import { checkSameModel, type FileRow, type VectorHead, type VectorTable } from "./vectors.ts";

/** What is looked for: a text, of models with a space that texts and pictures share, or a picture. */
export type SearchQuery = { readonly text: string } | { readonly image: ImageInput };

/** How the model is loaded, and what is returned. */
export interface SearchOptions extends Pick<LoadOptions, "dtype" | "calibration" | "signal"> {
  /** Most results, the nearest first; 10 unless given. */
  readonly top?: number;
  /** Where the model lies now; as the files of vectors name it unless given. It must be the same model. */
  readonly model?: string;
}

/** A file that was found. */
export interface SearchHit extends FileRow {
  /** Cosine of the angle between both vectors, -1..1. */
  readonly score: number;
}

/** What a search found. */
export interface SearchResult {
  /** What made the vectors. */
  readonly head: VectorHead;
  /** Vectors that were compared. */
  readonly rows: number;
  /** The nearest first; `top` of them at most. */
  readonly hits: readonly SearchHit[];
}

const TOP = 10;

/** Towers whose results lie in one space name them so. */
const SHARED = "image_embeds";
const TEXT_OUTPUTS = ["text_embeds"];

/** @throws FoveaError `invalid_vectors` where no model's vectors are there, `other_model` where there are several models' */
async function readAll(host: Host, places: readonly string[]): Promise<readonly VectorTable[]> {
  const tables: VectorTable[] = [];
  for (const path of await findVectorFiles(host, places)) {
    const table = await readVectors(host, path);
    if (tables.length > 0)
      checkSameModel(table.head, tables[0].head, path, "search the vectors of one model at a time");
    tables.push(table);
  }
  return tables;
}

/** The tower that encodes the query. @throws FoveaError `no_component` */
async function towerFor(
  runtime: Runtime,
  model: string,
  query: SearchQuery,
  { modality, output }: VectorHead,
): Promise<Modality> {
  if ("image" in query) {
    if (modality === "vision") return "vision";
    throw new FoveaError(
      "no_component",
      `These are vectors of recordings ("${output}"); a picture cannot be compared with them.`,
    );
  }
  const { modelType, modalities } = await runtime.inspect(model);
  if (modalities.includes("text") && output === SHARED) return "text";
  const why = modalities.includes("text")
    ? `its "${output}" lies in another space than its texts, whose counterpart is "${SHARED}"`
    : "it has no text tower";
  throw new FoveaError(
    "no_component",
    `A text cannot be compared with these vectors: they are of a ${modelType} model, and ${why}. Search with a picture (--image).`,
  );
}

/** Says where it is written that a model is here, if it is not. @throws what `work` rejects with */
async function asWritten<T>(place: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof FoveaError) || error.code !== "file.not_found") throw error;
    const hint = `${place} says that its vectors are of that model; say where it lies now (--model).`;
    throw new FoveaError(error.code, `${error.message} ${hint}`, { cause: error });
  }
}

async function queryVector(
  encoder: Encoder,
  query: SearchQuery,
  head: VectorHead,
  options: SearchOptions,
): Promise<Tensor> {
  const call = options.signal === undefined ? {} : { signal: options.signal };
  if ("image" in query) {
    const outputs = [head.output];
    const found = await encoder.encode({ images: [query.image] }, { outputs, ...call });
    return (found as Readonly<Record<string, Tensor>>)[head.output];
  }
  return (await encoder.encode({ texts: [query.text] }, { outputs: TEXT_OUTPUTS, ...call })).text_embeds as Tensor;
}

function lengthOf(vector: Float32Array): number {
  let sum = 0;
  for (const value of vector) sum += value * value;
  return Math.sqrt(sum);
}

/**
 * Rows by their cosine to a vector, the nearest first; of equal ones the one that comes first.
 * @param vector [width]
 * @throws FoveaError `invalid_vectors` for another width
 */
export function nearestRows(tables: readonly VectorTable[], vector: Float32Array, top: number): readonly SearchHit[] {
  const own = lengthOf(vector) || 1;
  const hits: SearchHit[] = [];
  for (const { rows, width, vectors } of tables) {
    if (rows.length > 0 && width !== vector.length) {
      throw new FoveaError(
        "invalid_vectors",
        `The query has ${vector.length} numbers, and the vectors have ${width}; they are not of one model.`,
      );
    }
    for (const [i, row] of rows.entries()) {
      const other = vectors.subarray(i * width, (i + 1) * width);
      let dot = 0;
      for (let j = 0; j < width; j++) dot += vector[j] * other[j];
      const score = Math.min(1, Math.max(-1, dot / (own * (lengthOf(other) || 1))));
      if (hits.length === top && score <= hits[top - 1].score) continue;
      let at = hits.length;
      while (at > 0 && hits[at - 1].score < score) at--;
      hits.splice(at, 0, { ...row, score });
      if (hits.length > top) hits.pop();
    }
  }
  return hits;
}

/**
 * Finds the files whose vectors are nearest to a text or a picture, which the model that made them encodes.
 * @param vectors files of vectors, folders of them, or patterns
 * @throws FoveaError `no_files`, `invalid_vectors`, `other_model`, `no_component`, and those of loading
 */
export async function searchVectors(
  runtime: Runtime,
  vectors: readonly string[],
  query: SearchQuery,
  options: SearchOptions = {},
): Promise<SearchResult> {
  checkPlaces("searchVectors", vectors);
  checkQuery(query);
  checkSearchOptions("searchVectors", options);
  const host = await detectHost();
  const tables = await readAll(host, vectors);
  const { head } = tables[0];
  const model = options.model ?? head.model;
  const named = <T>(work: Promise<T>): Promise<T> => (options.model === undefined ? asWritten(vectors[0], work) : work);
  const modality = await named(towerFor(runtime, model, query, head));
  const { modelType, digest, revision } = await named(runtime.identify(model));
  const present: VectorHead = { ...head, model, modelType, modelDigest: digest };
  const { revision: _, ...known } = present;
  const here = revision === undefined ? known : { ...known, revision };
  checkSameModel(
    head,
    here,
    vectors[0],
    "name the model that made the vectors, or none, which takes it from where they say",
  );
  const { dtype = head.dtype, calibration, signal } = options;
  const encoder = await runtime.load(model, {
    components: [modality],
    dtype,
    ...(calibration === undefined ? {} : { calibration }),
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    const { data } = await queryVector(encoder, query, head, options);
    const rows = tables.reduce((sum, table) => sum + table.rows.length, 0);
    return { head, rows, hits: nearestRows(tables, data as Float32Array, options.top ?? TOP) };
  } finally {
    encoder.close();
  }
}
