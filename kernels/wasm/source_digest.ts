/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e57a401683ead509da2824da92d94408555cee0ff106294f19fa879d3b19ddc5";
