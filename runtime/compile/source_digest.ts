/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "1f10f3826f3a1b614d91f4ff1fe6753930a348e0c7053ebeb99d8eae116076ac";
