/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "2b47f1f6118ea42bbc6f3d7ccbd7fac2c7f1e05026f22e1d55d8297e392eeb59";
