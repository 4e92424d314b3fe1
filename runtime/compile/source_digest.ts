/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "00a3a5f58382e46ff7e27ecfe9b4e686505f4c27af0464ea6ed3f61824650c13";
