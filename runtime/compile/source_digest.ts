/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9019e6e3ee0c56b84fe8e8c39a3fdcf46886daccfd1395473fc20a87e9555e8a";
