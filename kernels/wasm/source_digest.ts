/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4b86352b6757725ce07a7d9d01709d73145529f9ddf29e42edea57b1a4076ae9";
