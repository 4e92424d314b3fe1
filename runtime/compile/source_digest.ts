/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "cc8320f8665f7221501c8e63ff1210f2c054700af97f58815208432595001ad3";
