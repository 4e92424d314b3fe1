/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4f6f01b6c65cf36cb4e952e0771eaaf0282c93c330004c2dc870a27f5559c254";
