// What fovea uses of the reader of Parquet files.
export { parquetMetadataAsync } from "../../node_modules/hyparquet/src/metadata.js";
export { parquetReadObjects } from "../../node_modules/hyparquet/src/read.js";
