/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "195de145b6fc2d340be51d6c40caab52cb2a374bad284bfc4b491d57bd503c5d";
