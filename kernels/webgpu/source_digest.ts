/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a292395f45fba667a6e31eca2414de0c7a31bf57213baae5c27b06fcdff4e514";
