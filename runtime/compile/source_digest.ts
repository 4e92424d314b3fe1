/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "aa03af6b74e5d2d06750c88255de37515006b411735ccda73452464c20a013c5";
