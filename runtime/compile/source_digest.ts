/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8042ef5dfc3c38ee35110907c22722628be81fefb8b8bb01a02c256c4f17ee43";
