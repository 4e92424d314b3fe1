/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "65087fe3a8fdb8e3923a5c6b729325d12bd3dfbe3c6fa746e43bc9037611eb68";
