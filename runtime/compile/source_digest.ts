/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e5a071aec0adc3c363b1bd4f595b61b0187df45f5f23b14c07ff6f48b0cb1162";
