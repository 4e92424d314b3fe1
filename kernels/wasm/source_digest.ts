/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a67cad02dafce16c790baf4431bdc0602bf5bf91fb11461ce755dbe457c90934";
