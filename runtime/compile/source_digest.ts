/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "82067bf99224fb9a454bf8ea6f270574887e0b6c1375c9b2b7dde228396cdff0";
