/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "002debfc5d82d15de0a1b49a944420fbc2cad4a63c28f232037288149196ca2f";
