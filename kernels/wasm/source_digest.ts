/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "d77f8dd55b6ade42d0fde693ebce4e3015f8b509dd0c1bfceb8ea84af7d6ff84";
