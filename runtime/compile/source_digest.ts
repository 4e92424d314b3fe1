/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "717c4d4c4377f356f6bd7fd2fe7377fb3c72cd5abcef3ada994d6d2819ff023a";
