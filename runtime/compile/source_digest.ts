/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5c5425cbb0690877a1158187055da4e9726c820e41424274aa744afec30940ca";
