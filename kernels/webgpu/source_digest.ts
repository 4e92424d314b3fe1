/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c1803f1378cb6a3b0f242f9df6bd6a4532bdaba6e9cc216d31bef24c5b110bfc";
