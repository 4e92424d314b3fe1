/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "fe553a003a88ed4d619bad1f1391b53e9800c85613067895e3730116f4eba7e3";
