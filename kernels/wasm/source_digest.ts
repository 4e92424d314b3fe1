/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "08e96655cccd06279c94d1b6552513903aaafe17c58c18f3b85eceb100b4d9e3";
