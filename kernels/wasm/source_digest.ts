/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "41e6a431c910c0a554eede3eb091f911c11f0ef89f7b870cdc11b718790886e2";
