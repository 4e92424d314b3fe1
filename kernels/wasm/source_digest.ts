/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9f4ac75e00bccdc6df7922c9d715a968302711adcf7d4712d25f4383410f93ae";
