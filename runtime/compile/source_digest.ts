/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5f27ff6b66627461ff615032fc27a26d0c15dafc90b0bbd9d0dd964c6ed4688a";
