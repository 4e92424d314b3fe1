/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ed8ac618fe93ed128bda35f219a07e53fc77039ecfcb84ec6a3c77f3f84503ff";
