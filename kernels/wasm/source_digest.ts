/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "f71b65a1dfe61030a46bb7332255a0aa8f85019d8b3d14e802ef44335b0c231f";
