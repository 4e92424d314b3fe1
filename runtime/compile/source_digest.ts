/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "20462e144526c92686f0125c0a0e315b6f8744e19829f37000bb71851eee04ad";
