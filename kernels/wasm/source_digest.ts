/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e4ea02d73db67141a4b707d3a569329d610f3d672aca637449386cc72423d5f4";
