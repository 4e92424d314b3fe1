/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c3c22c3c42c1b54886de96468f12f62ae2255f57256ef2ad5cca22ec9692dcfa";
