/** `fovea/bulk`: vectors of many files, on one machine or by workers of a queue, and searching them. */
export {
  type BulkProgress,
  checkOut,
  type EmbedFilesOptions,
  type EmbedFilesReport,
  embedFiles,
  type FailedFile,
} from "./embed_files.ts";
export { type SearchHit, type SearchOptions, type SearchQuery, type SearchResult, searchVectors } from "./search.ts";
export { findHead, readVectors, writeVectors } from "./vector_files.ts";
export type { FileRow, VectorHead, VectorTable } from "./vectors.ts";
