/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "1200c8ae7e66324ee57210be2614a49918ae11a2b676a7952fc27906d8ce8680";
