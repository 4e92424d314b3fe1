/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ecd5744ae84913f7b10447f7e298573b820e70f0564d07ee37aa146ee9c1eee5";
