/** SHA-256 of the sources of kernels/reference; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "2299b0c4b6f633fc7e9384ba0185fc112d4890e3e7ba98ecf78a1def7f38886f";
