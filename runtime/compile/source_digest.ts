/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a5adc34e5476c65a7757f910850ef86b2872c74ae4027faef050df98581b6b6e";
