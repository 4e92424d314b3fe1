/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "14ebbf70e11f4c58cac6137a94ddeb31321cc5c77907e700d2e7429740d761b7";
