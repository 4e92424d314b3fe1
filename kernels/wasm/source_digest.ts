/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "6a438627dbb7a51ec7a972a554506219a80132c1f8a014ede423d12749b4cf6e";
