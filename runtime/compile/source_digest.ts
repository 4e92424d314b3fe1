/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "0a0cc5f86ec21183a9e100a23d63080b5695657a3e9356fe0818e002ebe1e7be";
