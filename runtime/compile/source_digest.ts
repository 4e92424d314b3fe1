/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "f09f4fea11b9324c90a8e4b124527dbc8f2fdb090f889ebc103b515cce04ed7f";
