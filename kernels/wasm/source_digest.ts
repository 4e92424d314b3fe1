/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ec459bd64aa7eaaab7fa8eba94b69e17d63e5f67a29d9341ebad39ee8d645ef4";
