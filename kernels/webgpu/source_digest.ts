/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "47319d76112b1b2d054c9ad2e17646a3e76cedf99ee2451eee7784cdae0137d9";
