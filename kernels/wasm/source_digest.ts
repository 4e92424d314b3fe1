/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "57aac0ab07fb4b7c0e1789ab6bc2e560ec6df95c159f9d2c17963552adb867db";
