/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "92eac20791d871407af25e7250103e146cd73510dcc280cf0f92a216480fd132";
