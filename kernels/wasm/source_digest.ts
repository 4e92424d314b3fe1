/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "676f324f73efaf8defe88a52a368eb25e217b41f98b5e8bcf4fccb8c5ca72f49";
