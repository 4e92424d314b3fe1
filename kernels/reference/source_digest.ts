/** SHA-256 of the sources of kernels/reference; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "cdb7914aa5b637c089dc5c154e8a8964daa2758f6f31aa237357437c99c9cf08";
