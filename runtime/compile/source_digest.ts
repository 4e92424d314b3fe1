/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "d0c33f4911e00f73bbc788c878d0c2c8b25eeeaa6ebde1827dd39da43db6b06a";
