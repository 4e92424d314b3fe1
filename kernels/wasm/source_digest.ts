/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e656570bf33db05de89291599e367a9d027e59cd9b872af759699ccce8ab7299";
