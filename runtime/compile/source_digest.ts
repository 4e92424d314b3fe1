/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "14d5cb3d7473fd98dbccd5386bd1b49bc82620a076cd3fedc5ecc3e8d48161fe";
