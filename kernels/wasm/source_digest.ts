/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "013e44c3f2726e112b59342784d66847d21ffb3a3b1239b60511b91b0bc23af2";
