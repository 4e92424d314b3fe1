/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9295bf4b405a839273290790286c993ed27746802dadd7666f3855a57408e565";
