/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5be3d539ef3476df28fae8d9faa4ebc6193235d5f4a37370d8b6c3da863c4d32";
