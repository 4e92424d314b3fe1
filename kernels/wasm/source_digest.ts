/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "33a13447625d8cdf01aff14d2331a18f4c47733a3d827edaecdc06ace7e694e0";
