/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8916169967c21b60d89f9597f39016d3e15dc37447f3adf7017279dba0813f0b";
