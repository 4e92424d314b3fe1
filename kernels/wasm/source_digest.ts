/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ca1a7f9af18051e7df29238303e301b6a6b51c6136d383cd24015f378adcb4dd";
