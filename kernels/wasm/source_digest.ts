/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "b23f9ceafee200b82f0ae08fbf11cd3f214b40a1efc4b24accc704494f26c094";
