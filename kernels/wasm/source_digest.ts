/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "82c8f7e309aecc88d27ef70df64e7657980765129cd046bb1c23774723a35bd9";
