/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a4d8a3e3147870b3b5471ebdaedc1eb6dbdea50149429c185279910843dfd052";
