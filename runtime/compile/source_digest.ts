/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "84b0d474eea309af67ff94ad3eb22b3722ca1dad51ae0ea7a740309e38fb44a7";
