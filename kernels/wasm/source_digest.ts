/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "1ff8c86fd755a14cc6014bff28b39c980a724d542f79c6fc05549e24a11ea4cc";
