/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "bfa73fe882f1ee23bf5c0d179071d59f3a3a0e004684fa20fd3d297cc85b0e1e";
