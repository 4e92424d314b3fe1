/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "cd5e7846cb9c280338e27b3b40a93ff3269493ed96cef3debba414c000efb581";
