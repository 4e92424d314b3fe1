/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "39d4bdab571a3b62a68d5a282a5b494408490f34ff5e1157ff2827c41462d569";
