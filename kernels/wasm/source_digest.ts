/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9934e0037e503f90fa05c72637eedc0ecdc0b215416ff7995dcaa08dadd9c7db";
