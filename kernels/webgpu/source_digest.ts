/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5610ffb1359900703b7e4992a2b2b322ac509471c44f16ed2bbff1b8db5313c2";
