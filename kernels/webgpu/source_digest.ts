/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "f790a8d06d0ffdf3589a53e6d48399c91e7e35d7c24a69c58c840f582dcd5e2b";
