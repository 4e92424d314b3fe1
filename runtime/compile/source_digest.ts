/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "fc3be4c6f2851a0dc67eaf94deedce58f2eee275564244f21b1c103daa2eae9d";
