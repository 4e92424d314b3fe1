/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "d6f9772f9752c91642346768734fb5d4d91066ec12e3a06d5a77d42807d7d04d";
