/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4134c37ecb6c4c441d247400d60a20fbd5db3993f44ad92aa055af8c8ceacf37";
