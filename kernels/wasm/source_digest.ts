/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5fc2a2c9a5cab1e75a2b0699f8a8836b2f074f670c6902a6fb1765165fb9a1d9";
