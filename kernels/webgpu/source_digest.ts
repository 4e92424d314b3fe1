/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "100966ddd5b29a64696f0cf276e492ee40ccac7a80426e65cf8fafa8db3c3e8a";
