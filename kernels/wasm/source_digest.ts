/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "fc00e7746ab9f9ef911505a6dcc42a61974381193c736ca30e3c59f933da7b8a";
