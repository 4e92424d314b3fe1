/** Types of `#parquet-writer`, which tools/vendor.mjs bundles. */
export { ByteWriter, ParquetWriter } from "hyparquet-writer";
