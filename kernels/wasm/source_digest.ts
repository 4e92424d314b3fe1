/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "3c609c78d574d57361590d327b754cc6f95751595014f4b1868c0d143f7719fb";
