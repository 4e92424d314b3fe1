/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "db28b70802a9893aeec18c726008c17dd9f87ff1a2e7002c1de9e6a823337e2e";
