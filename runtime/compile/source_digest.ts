/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a2ace8a3c4f93c9c4fe2ca26fd1aab3324717ae4d6febea8620119559618594f";
