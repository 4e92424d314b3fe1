/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "bab2bd618b11b0a8a6165061581009f188e06e08330ea3d32fc83f176047b9a5";
