/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e442c23ada81bb9f2d9e4ab2c9d3c1f9de8435c356654d7f0bc35e548da9e116";
