/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "752352df68e25d983fd1e0f9d0b8946b906dfc5762e619c7a5f138dd76b137e7";
