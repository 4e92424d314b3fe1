/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "2b0212e4edbd80ee0e1670c73896718de38599fbd3253d0d44a156480c1d60fb";
