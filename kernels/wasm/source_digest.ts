/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "717eadf391f52adf6d6d948ae91b2fd748433070f49717dee529233ab3e13c6f";
