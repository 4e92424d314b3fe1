/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "dcdc9d1feebb7f94c200c160e72c3b1bc8167d6b7c68c376298b50b40b18d511";
