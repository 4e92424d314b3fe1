/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4336fd0f4caccba02b7f4fd574516dde52865c1ae5cbebb54762ec439d2cced9";
