/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "d2be466fbf243f50a3cd825776f5d83b1475bb28010e9efdec23740b24d45fac";
