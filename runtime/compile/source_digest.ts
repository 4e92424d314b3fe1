/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "d6c498fb6e66e0d895d2c2c700f27f4e3927cb57a15a800028136abf742fa65c";
