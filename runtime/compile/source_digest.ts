/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e4cd8353f4b21be19332f1a50362d14aa2df088c190ff91ab588df19dc955cfc";
