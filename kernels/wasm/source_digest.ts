/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "fd6ea0a6be2e27b08d0b49971e35960df8aac4c8b683efcb721c569b7bb59a72";
