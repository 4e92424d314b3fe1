/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "cb45f0dde8380ee9aa989089697dd88f3ee068fda35b2838e61656a989020b37";
