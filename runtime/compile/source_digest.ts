/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a8d5652914202cd4b9a259ae4e4b0e06716775fd3a57c9aab8935c3f9e490bd6";
