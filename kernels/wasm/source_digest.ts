/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "57c1de8baa7f7c811d264974508ed7e9e8b677d1173b3004156cb95b5910fd0f";
