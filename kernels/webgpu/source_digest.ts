/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e51ee83a56d2e0f2253162b8a0680eb6958d873cfe3f3ff449a5d7467eb6ef79";
