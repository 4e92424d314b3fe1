/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "806c25e130d0c48cd2a29edc4d7e31ad5051b77965f83ac49e22175dd96c43f8";
