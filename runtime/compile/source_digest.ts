/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "865aef75de8875066c705e0277cd581b9aab2e429885a7b4d33929114cea5a21";
