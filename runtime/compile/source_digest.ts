/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "7752b0d7bfcd7bab04210a46e6654776a1580aed78ef2fb33536eabb00d1a83b";
