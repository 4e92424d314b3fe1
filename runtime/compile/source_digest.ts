/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ed45598280f1fcdbfe0b0b8ce05f594c94fc56eec39cc4a6af70acfdd333a4f6";
