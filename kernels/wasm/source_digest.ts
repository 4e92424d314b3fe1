/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5fcc8d048d3474017da6451b1660f9f86b85b2a7522058296cc45e9f4c071a1c";
