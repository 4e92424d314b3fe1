/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "117d2c702b81bf1bad5bf4e5c791ebd3226cbbc76b246f859711ed655b08f09c";
