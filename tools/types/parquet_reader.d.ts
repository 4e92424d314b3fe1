/** Types of `#parquet-reader`, which tools/vendor.mjs bundles. */
export { parquetMetadataAsync, parquetReadObjects } from "hyparquet";
