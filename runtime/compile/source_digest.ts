/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "db52c193e40c5c3e8068905ae1120ac5561776c9c71ee7cef3aa9fb5410d1cbb";
