/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "d1ca0a2ca2f4281a2d66d1c04d5df7c01623d0ce53c91bb9676cf5a15b1898e3";
