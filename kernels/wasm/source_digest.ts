/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "d79d1eb430495f1267938278b4f7c0f987bab5b474baf18a02e3634045aed5a8";
