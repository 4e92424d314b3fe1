/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e20f0ff88424c787c90067f47f7abb60291f37d4885f391ce2c504920ce2379d";
