/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "3b4bf362f1ace8583cde5314e3351866170a66365b5a84ca9b3c024b72f82dd8";
