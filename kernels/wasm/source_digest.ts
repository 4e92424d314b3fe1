/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "207e48645cae76cbd7adf5c5608fb5c0b7a3628c1b6fd85128b3e3bcaa143c33";
