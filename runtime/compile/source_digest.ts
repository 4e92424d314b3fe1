/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "84f7188b65e373c81269e7d7e85b3c388a5484605c2954100ca90174b3dd1a52";
