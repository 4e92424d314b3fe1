/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "153de1e37de2b6167004a1bd4bc3c38c25fc31aa71fedef86c6785c51461958c";
