/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "502df7dd1369e428651cd2739127ba5a026a748f2fc73aa0f55b780f3e154a92";
