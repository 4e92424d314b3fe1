/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8bdf913ba7db9d6b653b4c8270d6088704c7f9b1f01c5e07de86ba9c2ea2acc5";
