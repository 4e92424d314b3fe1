/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ebd3966026f445104237c6900c8f7b188e8232aeb18201f77825e88fd8ab8ef6";
