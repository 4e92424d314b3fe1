/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "b5355ed149be8d4cd10fe4fc87fc860a75ecac70d13cc98b4a61771d57101dde";
