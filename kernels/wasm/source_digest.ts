/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "1a849e6d242eadd045af148113c2fe52a825e3b39ce906721c6c42189605d630";
