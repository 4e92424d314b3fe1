/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "39c4b03e7ac7bb73516b37dea638112682971e6f308f8ca7b4ad179c76b171bf";
