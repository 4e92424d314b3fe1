/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "407b4dd94552f9aaceb52f8105cf1bbddcf120729bbf365857592af3f2e96c0c";
