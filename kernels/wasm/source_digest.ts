/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "415b56c2bfd332503b2dc0004bdade2d107c8b44c1fa266b13c27a94a46d91b8";
