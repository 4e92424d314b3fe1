/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "fc825823cd2cd68db61573fb96f6c47d737ff9dfc37aad1bc487fbd7edf5b947";
