/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "37998675e2e9d26a8cd8a73d9e6d1557f94dbd7349b9b362a78c61cdf8595fff";
