/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "3459c49cf62b79a93a868d940761cf249fa88b167c0c6cd7bff867dd629a0864";
