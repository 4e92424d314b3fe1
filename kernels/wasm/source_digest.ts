/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e41b3d2ba490a67ada8aa39231c1ef10f4b407b000a9427eb4eb9f64fd65dd13";
