// What fovea uses of the writer of Parquet files.
export { ByteWriter } from "../../node_modules/hyparquet-writer/src/bytewriter.js";
export { ParquetWriter } from "../../node_modules/hyparquet-writer/src/parquet-writer.js";
