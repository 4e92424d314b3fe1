/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4a690d7ccea6307c69d7bfefc03522fe69c92786bac86e180a8ae66503eb2fae";
