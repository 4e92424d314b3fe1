/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8fc5351044fb63f2881b1b9c0787a06d25b5ccba3dee8d17fbe43a7b177b7de8";
