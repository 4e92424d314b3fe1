/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c2f79566ec94aa68765833f7feb7b77d4ea213ba4b660b0b3761005e72dd0eea";
