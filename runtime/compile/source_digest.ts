/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9c202d2201a1d731575bc5db2d26e741adbb216434b689c33ea94885f497bd07";
