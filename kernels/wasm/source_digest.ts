/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "7e3d8b2774f68683df8c28e1e5bc7ffe78166bcba91f5cf3acc0183c49782513";
