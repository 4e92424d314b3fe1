/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9c980464677599bbfc00c0279e442f58767ce1518dafbed63772b91fcddd22a0";
