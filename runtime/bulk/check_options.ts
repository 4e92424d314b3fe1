/** Checks of what callers of `fovea/bulk` give: those without types make typing mistakes too. */
import { FoveaError } from "../core/diagnostics.ts";
import { WEIGHT_DTYPES } from "../core/dtype.ts";
import { checkOptions, type Expected, FUNCTION, foundText, isObject, oneOf, SIGNAL, TEXT } from "../session/check.ts";
import type { CollectOptions } from "./collect.ts";
import type { EmbedFilesOptions } from "./embed_files.ts";
import type { EnqueueOptions } from "./enqueue.ts";
import type { CleanOptions, QueueOptions, WatchOptions } from "./queue_admin.ts";
import type { SearchOptions } from "./search.ts";
import type { WorkerOptions } from "./worker.ts";

type Table<T> = Readonly<Record<keyof T, Expected>>;

const COUNT: Expected = {
  text: "a whole number from 1 on",
  holds: (v) => Number.isSafeInteger(v) && (v as number) >= 1,
};
const MILLISECONDS: Expected = { text: "milliseconds from 0 on", holds: (v) => typeof v === "number" && v >= 0 };
const FLAG: Expected = { text: "true or false", holds: (v) => typeof v === "boolean" };
const CALIBRATION: Expected = { text: "a file, or tensors by name", holds: (v) => TEXT.holds(v) || isObject(v) };
const DTYPE = oneOf(...WEIGHT_DTYPES);
const MODEL = { dtype: DTYPE, calibration: CALIBRATION, signal: SIGNAL };
const QUEUE: Table<QueueOptions> = { queue: TEXT, name: TEXT, onProblem: FUNCTION };

const EMBED: Table<EmbedFilesOptions> = {
  ...MODEL,
  out: TEXT,
  resume: FLAG,
  shardRows: COUNT,
  output: TEXT,
  onProgress: FUNCTION,
};
const SEARCH: Table<SearchOptions> = { ...MODEL, top: COUNT, model: TEXT };
const COLLECT: Table<CollectOptions> = { out: TEXT, shardRows: COUNT };
const ENQUEUE: Table<EnqueueOptions> = {
  ...QUEUE,
  dtype: DTYPE,
  output: TEXT,
  attempts: COUNT,
  backoffMs: MILLISECONDS,
  signal: SIGNAL,
  onProgress: FUNCTION,
};
const WORKER: Table<WorkerOptions> = {
  ...QUEUE,
  calibration: CALIBRATION,
  out: TEXT,
  format: oneOf("parquet", "safetensors", "npy"),
  shardRows: COUNT,
  root: TEXT,
  model: TEXT,
  concurrency: COUNT,
  stalledAfterMs: MILLISECONDS,
  drain: FLAG,
  signal: SIGNAL,
  onProgress: FUNCTION,
};
const CLEAN: Table<CleanOptions> = { ...QUEUE, done: FLAG, failed: FLAG, olderThanMs: MILLISECONDS };
const WATCH: Table<WatchOptions> = { ...QUEUE, signal: SIGNAL, everyMs: MILLISECONDS, onProgress: FUNCTION };

/** @throws FoveaError `invalid_options` for another option or value than is known, and where one of `needed` is left out */
function checker(table: Readonly<Record<string, Expected>>, ...needed: readonly string[]) {
  return (of: string, options: unknown): void => {
    checkOptions(of, options, table);
    for (const name of needed) {
      if ((options as Readonly<Record<string, unknown>>)[name] !== undefined) continue;
      throw new FoveaError("invalid_options", `${of} needs the option \`${name}\`: ${table[name].text}.`);
    }
  };
}

type Check = (of: string, options: unknown) => void;

/** Options of embedFiles. @throws FoveaError `invalid_options` */
export const checkEmbedOptions: Check = checker(EMBED, "out");
/** Options of searchVectors. @throws FoveaError `invalid_options` */
export const checkSearchOptions: Check = checker(SEARCH);
/** Options of collectResults. @throws FoveaError `invalid_options` */
export const checkCollectOptions: Check = checker(COLLECT, "out");
/** Options of enqueueFiles. @throws FoveaError `invalid_options` */
export const checkEnqueueOptions: Check = checker(ENQUEUE, "queue");
/** Options of runWorker. @throws FoveaError `invalid_options` */
export const checkWorkerOptions: Check = checker(WORKER, "queue", "out");
/** Options of queueStatus and retryDeadLetters. @throws FoveaError `invalid_options` */
export const checkQueueOptions: Check = checker(QUEUE, "queue");
/** Options of deadLetters. @throws FoveaError `invalid_options` */
export const checkDeadLetterOptions: Check = checker({ ...QUEUE, most: COUNT }, "queue");
/** Options of removeQueue. @throws FoveaError `invalid_options` */
export const checkRemoveOptions: Check = checker({ ...QUEUE, force: FLAG }, "queue");
/** Options of cleanQueue. @throws FoveaError `invalid_options` */
export const checkCleanOptions: Check = checker(CLEAN, "queue");
/** Options of watchQueue. @throws FoveaError `invalid_options` */
export const checkWatchOptions: Check = checker(WATCH, "queue");

/** @throws FoveaError `bad_usage` for what is no list of texts */
export function checkPlaces(of: string, places: unknown): void {
  if (Array.isArray(places) && places.every((p) => typeof p === "string")) return;
  throw new FoveaError("bad_usage", `${of} takes a list of files, folders and patterns; found ${foundText(places)}.`);
}

/** @throws FoveaError `bad_usage` for what asks for neither a text nor a picture */
export function checkQuery(query: unknown): void {
  if (isObject(query) && (typeof query.text === "string" || query.image !== undefined)) return;
  throw new FoveaError(
    "bad_usage",
    `searchVectors takes a query such as { text: "a red bicycle" } or { image: "x.jpg" }; found ${foundText(query)}.`,
  );
}
