/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c3e9273cb8e34cce81fc78bd76ea5f153917768ff40f84a8f34404aa3d511519";
