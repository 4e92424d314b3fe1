/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "d43e92dbf8bbd4bb2b3ff4924b95db4084b1c82c0c9ca9ca5b0e8d4a6081c0d2";
