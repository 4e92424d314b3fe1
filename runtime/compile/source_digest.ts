/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9baf280004d24c5cfb7248d0ba63185d0d5aa4dac0dd57e5d4fb65e63e65b343";
