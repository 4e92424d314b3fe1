/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "7a6722e240418b95574ca30bdd732c088d3938c6fa8e657553735f95056da829";
