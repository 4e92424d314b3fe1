/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "222bf9fabf3e6ef27b2dfa0498b7002dd9d9376eb2f12cd91b8003573fca66c5";
