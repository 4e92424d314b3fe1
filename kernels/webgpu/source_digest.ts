/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "fc28c95e622543488667255083546f906a5169e91dae3813acddada3e3a9d512";
