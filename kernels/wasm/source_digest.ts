/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "fdf4bc870db49c3ad258b3c7eb79b816a2e60b7bb996f55430dca94e09487185";
