/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "d8b549e66ada9eb810cbd4c3b5951af0aeadc2847b068b58065303ec492396a3";
