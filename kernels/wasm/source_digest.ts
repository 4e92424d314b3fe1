/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e9ec9a033f072a44f76767b121cca5dbe223dbaaa3e40f4118a2b032f7d06a71";
