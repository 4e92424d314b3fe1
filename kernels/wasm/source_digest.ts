/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "f8bd0904f53104e0b5eab48c6ab4b54d10d938a744b7278802f0f5090c2e6149";
