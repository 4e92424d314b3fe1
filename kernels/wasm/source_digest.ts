/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "93cf96573237ce4a0eab918ad3046d0a94d53529d3bd73d4380e4b12128dfe6f";
