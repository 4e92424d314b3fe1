/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "61234c92650cf9a18f72dabbc8f8b68ed16bb86fe3536d0ec6e2312d2158fe07";
