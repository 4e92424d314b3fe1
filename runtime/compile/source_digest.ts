/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "1ebcb12dfa709aa11105d76ec27e8241dc362812f4801d62bd99b0b9904d889d";
