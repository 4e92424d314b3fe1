/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9df97a179c0e06ab58c4c5db9ae8b59c969d41038b78d675d39f5a234c97e03b";
