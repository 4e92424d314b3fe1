/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "b31f7e1db83385b9f17d2017d8c976fab9fb5473b53db1abcdede06074d3e1d1";
