/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "68bcad80da3a51f036bdb5f73d061be246eaab12794a550b79c9529f3e13486d";
