/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "6d1059cc66d4c68b39403420356d33782bf035ee02501fe63b7801ecfdada9ef";
