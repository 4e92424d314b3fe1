/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a1bda46828604215a4545edbdedfb0a19df47d3baae1a9a036c3bb613b7a9017";
