/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9d83d64ae9532e2dcb133a80237c4440dfec7bdd532cc9383d63ebdd0c13b110";
