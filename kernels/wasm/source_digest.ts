/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "b09566276f3f9e2e73df7c82954196d2f9e0d21acfd2dc4d5e60e41b429dede7";
