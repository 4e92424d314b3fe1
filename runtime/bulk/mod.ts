/**
 * `fovea/bulk`: vectors of many files, on one machine or by workers of a queue, and searching them.
 * @module
 */
export { type CollectOptions, type CollectReport, collectResults } from "./collect.ts";
export {
  type BulkProgress,
  type EmbedFilesOptions,
  type EmbedFilesReport,
  embedFiles,
  type FailedFile,
} from "./embed_files.ts";
export { type EnqueueOptions, type EnqueueReport, enqueueFiles } from "./enqueue.ts";
export type { QueueCounts, QueuePlace } from "./queue.ts";
export {
  type CleanOptions,
  type CleanReport,
  cleanQueue,
  type DeadLetter,
  deadLetters,
  type QueueOptions,
  queueStatus,
  removeQueue,
  retryDeadLetters,
  type WatchOptions,
  watchQueue,
} from "./queue_admin.ts";
export { type SearchHit, type SearchOptions, type SearchQuery, type SearchResult, searchVectors } from "./search.ts";
export { checkOut, findHead, readVectors, writeVectors } from "./vector_files.ts";
export type { FileRow, VectorHead, VectorTable } from "./vectors.ts";
export { runWorker, type WorkerOptions, type WorkerProgress, type WorkerReport } from "./worker.ts";
