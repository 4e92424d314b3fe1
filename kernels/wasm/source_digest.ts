/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "f1e57c8ced5a039912990f5e6f3906e38d418f929981e48d7f9af441aef227d0";
