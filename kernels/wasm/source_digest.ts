/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "af261f37c3b0238cbd9316bdfb86da1a542f484dc2f621d00356d80307154d9b";
