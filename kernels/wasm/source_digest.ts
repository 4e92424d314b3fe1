/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "f7f02481e23d831a8798c71ae23455ce5fb326cc2706906f8459e12236ecdbb2";
