/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "04f86b26ada6754d49ebd093e822289779cec97a09b3da8c2db3a8b1452a3295";
