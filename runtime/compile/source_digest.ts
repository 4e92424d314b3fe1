/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "da92dd0ec153e3eb7dafce2b8d72333d79f2ad3f55e52efe291e00934e2c9532";
