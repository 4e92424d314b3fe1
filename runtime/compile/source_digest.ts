/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "f603a71a98ab0ff16917210cc4f9346b76884923d99cd46de03e16b8cbac09f6";
