/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4baa86c3c8884bf71aa9dc767ef3fb89dd64c9e1be097818599d7d37492dbaa8";
