/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "b7064887fddb4fae006c4f132d5ad94e8daa838ea0ee6a737033453af361d0a2";
