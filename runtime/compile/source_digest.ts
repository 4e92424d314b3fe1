/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "6155fffa7d87fe9d4e4af4dd4b7e5f6e2ad34d86d7d020c0de6298e692e3bbe6";
