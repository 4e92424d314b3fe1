/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "d2373ab0a1d0065c13742ea6b48ee306cf7db599232124403294c4ac7ceadc13";
