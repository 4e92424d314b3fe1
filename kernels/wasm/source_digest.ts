/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "32370c6880dd0eba2d13ce2b349d57d37f75ea17ec7e47741240e1e3aefe9578";
