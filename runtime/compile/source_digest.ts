/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c68f7f0b80c6981c03d0829da1ce4179b33a5a27d4004d11f5e0b3376cafdb5c";
