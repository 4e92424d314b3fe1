/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "da782fcfbbd587a0fdf721861bc8b8575bb65f3b5c60d5f9a054e2fb027b6a11";
