/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "66ce05335f34349b98e3b029abb60c0592c376ab214a0296008f5e5f4ae6ea15";
