/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "fdcebe5d681ea1e0a600ed3611f1817a9388d212f823932e129b38abfec526e0";
