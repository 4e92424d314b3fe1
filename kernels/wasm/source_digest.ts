/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4af9f4d98d61b8c04afcd2445e1d65f7fc1a96daaf6aafbfacd625a62348d491";
