/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c1d64b21df8577cba098a382e93fb35fab1033cdd54194f6c6b45cf151de3600";
