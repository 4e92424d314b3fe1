/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8e9cc40c687f97177eede2bced2099e33f920d760a8a2dd5f456ac2fb0f89d3c";
