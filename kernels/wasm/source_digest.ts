/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c945932c3dbc9a27d13b5a03879cb943383a1774c52afb0e43f0547c56e9a6ce";
