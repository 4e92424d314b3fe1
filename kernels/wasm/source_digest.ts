/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "424d52a33c368d40c53a308cd4ef86c1323ffe378182cf0ad105fdac20aadb96";
