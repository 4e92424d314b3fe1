/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4baf9d2f076f69a07118f979ef97df7ef8cfb515addf5d329943e2964da8d2be";
