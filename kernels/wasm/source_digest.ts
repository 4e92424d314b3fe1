/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a1d374a74cee91495757d83bced3a65e3c2525a351bd0e8e45341bb8d91a6a14";
