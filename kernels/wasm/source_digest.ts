/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "7f6a9e95131246f1e419aeb3bb19c44684b705575f1c98559a1843f628626ae0";
