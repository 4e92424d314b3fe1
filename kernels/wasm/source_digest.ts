/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "2a85a513898f808098fb24531282b70fa44d24b999655aa430c8d04fe663c0b2";
