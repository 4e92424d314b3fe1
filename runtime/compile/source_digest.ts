/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "833947f788cc196fc20952f0a59858f7fa9f947fa98286a01cba0c00bf580f84";
