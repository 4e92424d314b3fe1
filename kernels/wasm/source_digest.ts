/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "2e1f6e59098c57185bcd3a4159455272da8bf22021c1b768820bd5f9ae6335ea";
