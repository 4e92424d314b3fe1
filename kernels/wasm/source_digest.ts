/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "43c4e58884fbe0d97798427fe28913bdd055c51b48cc43eb21ed79031788823b";
