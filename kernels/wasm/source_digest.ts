/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ba4db925431949d02081d4a086426bfb9c7e56aa130665a2cb8c27aaf388fad1";
