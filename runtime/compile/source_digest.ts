/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "293071935df2accfcb4823c0ce172cd666258e080b9931b4b9045dc03e07c4b1";
