/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a63b8107f430551fc57e8b75ee02d637632e49cb37e6ae82f18f9f6bd0d09f5b";
