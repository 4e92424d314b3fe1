/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "de0b9a324b8bc9cd6853a1dc0cd0eaf390f3499984054512148442b0f371c226";
