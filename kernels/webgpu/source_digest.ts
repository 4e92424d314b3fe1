/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "cf1589a6e71e2be52fef02becd42ac275aac2158373c5be9a6346ed0845342db";
