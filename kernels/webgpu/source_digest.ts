/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "3fb49c83e2954196182396d4e832983ece6b0feade2e7a65332f645c5f9c75d9";
