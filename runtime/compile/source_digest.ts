/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c03d693d0a842a298271cdf5f1b0e599d3ff23aa34928324e6df79617bd1782d";
