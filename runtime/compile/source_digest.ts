/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "d2a6ea55150e403bc7710a40488144fc4a6b71df49c1d9e2082075ce34abf673";
