/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "2ca001610b68427dc55eb7773718f0d29accb47bc0f507be8d140985879d8b33";
