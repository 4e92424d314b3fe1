/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "fd621ed4ee278e85fb440ef3fe2993bbdc4073ec19cc48773d70525b1ed7047f";
