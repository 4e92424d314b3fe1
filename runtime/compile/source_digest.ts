/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "037fa17881b0c8f60624761b282514745c6d6500ba039b24467546ee365cd32e";
