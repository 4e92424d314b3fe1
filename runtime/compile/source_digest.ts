/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "2a7c3aca54cf541d90c19b31fa2da5158ebdb56112d74348df71918b69bcf0fc";
