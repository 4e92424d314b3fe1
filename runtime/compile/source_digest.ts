/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5d51ebf49c6523852c0b7aebc65237c9a26a777d2c53588c443f2e6f0e1270da";
