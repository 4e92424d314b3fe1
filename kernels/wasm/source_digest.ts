/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "03b424b6ce9790599092f37dc3e69f88559dd7dbcc4b48d02e82cb0828ad6b3f";
