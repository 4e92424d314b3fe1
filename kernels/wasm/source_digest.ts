/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "cdaeff37c33885093bc44763ba13b4bdd8aed986d20b5075b6758c244f8fd18a";
