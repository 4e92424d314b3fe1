/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "cb38df7663d4922143ffb7d821a710a139f06a3e9429b42058f5928b6892f45a";
