/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "076023af09e186aa1fc298da33991b3a88b2623b0777977016367f69c1d0e8dc";
