/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "67b43bf4aea34267e0ce40948c4d75743b6990fac0223c6467bee144c2cfdcae";
