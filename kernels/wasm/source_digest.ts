/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "220f9874cad13a5eaec8125aab89bda1c2da2453e6c6e14fbcc705a7932919ad";
