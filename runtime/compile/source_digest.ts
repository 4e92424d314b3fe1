/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "71cf9eb02f15bd4337840cc76d2113f9cf471dec7bd639df63f9af8a01d56af9";
