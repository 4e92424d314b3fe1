/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5585bb2a98c7b448688d5793113a436d187a012bd34e2cb980b366c0749af9a4";
