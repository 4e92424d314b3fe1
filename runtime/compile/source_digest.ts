/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9251fb4db24b4434bc14b668434d9f3da30a3276aca27daa0fe9951a5bbb113a";
