/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c2154565145ff19a4eb0178172258fada3ff436c5bfc893297f5937483b1aad4";
