/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "31b3b178cc7dfb6fe7d62e4830c470c426d023882296397877e089997c44ddbb";
