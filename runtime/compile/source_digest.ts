/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "788d91b96495f22e7c2b0a461792081b504eb9c57360aa721285d8d7d2cc9701";
