/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "acbedef8222110e232667d8af0194a6002b2cb263e400effac94ab3e6b459c21";
