/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "45c1367f5daa408ffc8567f31b1299538253750a5a9e470c93a3ba58f5461afb";
