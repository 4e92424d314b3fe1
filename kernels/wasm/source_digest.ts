/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "134ee6f70cb5131d5f4bd847bbad43b7e7bd7ff3d1eb4da3880bc24a7bf5124f";
