/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "3d72c825941f9e5db648a9a1d16847278bae00105ecb779ccda0ade4f5fa3db3";
