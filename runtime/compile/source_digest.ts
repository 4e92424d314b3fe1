/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "46d393abaca66bbdadb51386d3b86d7fc41d0b2041c0156ef3344daf65008cf8";
