/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "02ed6988289f5e30fcf0e909e0d0cc2d365b1076be357c03b3b08c5dbbdb30c8";
