/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "18125fd3ebf41f77e6a0b09142486ed9c1563ffb2b5b91728076228f60b882f1";
