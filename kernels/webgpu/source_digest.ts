/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "99585a8945f200e5797ba686fa6f1b9babc54a3b65bee11e32dea3a3095cbe38";
