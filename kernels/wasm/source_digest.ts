/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "6c599cc81ff0542473225ad45be71553cf5f6a1a776ae3732ec49a29393120d3";
