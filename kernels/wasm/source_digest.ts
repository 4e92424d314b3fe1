/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "6a6e642250d24b3ebf56b7f30d1c52a8dd2eddeeea568beb2a1e962104ed87b3";
