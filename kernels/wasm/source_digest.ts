/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "25da32c826192ccbad295a4840824047a4c80782e082aba77a46ed3bb9ffa5b5";
