/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "2851db7131610bcab92fb0ce06a46ab46ca51261257e381655f2dc8cd9eaef35";
