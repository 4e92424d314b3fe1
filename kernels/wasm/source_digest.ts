/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "3fc0be25ab1decbb93aa8a5e56d94e5644601ee1e9f8605dddf1aed2216d973d";
