/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "0695c2c1d57e06c83630cf9e35b65f6901c1f12b248e6229805858141fb6e885";
