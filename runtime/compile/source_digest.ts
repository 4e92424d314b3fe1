/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9cb874b99b3404278e375d6aabd845542d8734300f82e2b52f6be826f6804f00";
