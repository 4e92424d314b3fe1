/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "0e269c97caea1a558c67cb7abbf7b3d67446cef69f933c6a84a8ec5f2cc441a6";
