/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c53d207a9f1807ed830b5e832c4673d48639a87aad64bcb8900c0887c1c5bc60";
