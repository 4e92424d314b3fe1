/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "7e97fbc52702550b63c3bbd163478c2bab9d2d9d3001b2f77442e09bf951f0ac";
