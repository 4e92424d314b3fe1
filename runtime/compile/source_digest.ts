/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c775df7f63d05d5d8c2768a1f025a6b392dfd668525b171c279a0a91cfa1266f";
