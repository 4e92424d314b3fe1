/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "7d8e0bd6457cc816311e506e60fb31ae4eb52af859d1e92031adf712b82b16a8";
