/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ebd7ce344d34ec4b4aedbf4e47d263dd233af254cba9adebfedad75bdc1981d8";
