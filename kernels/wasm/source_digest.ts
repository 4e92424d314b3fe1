/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "670edf6d7612fad051110107c4eff23511696debf1beb16485df4905f6d6a4cc";
