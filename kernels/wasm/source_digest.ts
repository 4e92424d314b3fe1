/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "be5e60cd47c5c84fdead075789e67a43fa2b1f7a35d9757bc078513f7012727d";
