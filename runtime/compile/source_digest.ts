/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e4b66460f520d0413f412e1e9980a3c7b27546ed6930c6665b1d0078e2341b1a";
