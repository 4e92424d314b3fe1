/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e914a6e8466d34f1cbd3212ee83cc19b6f40319bbc0e0220591fcfd1c41ab3e8";
