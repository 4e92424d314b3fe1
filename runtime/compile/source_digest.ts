/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "aae99d31920c3ae3a145886b0733a5b0f115623c44aafbadc51832ecc943a7a9";
