/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e6c71a5d07eb55ab27dc84ae9914f6e497201f8d6fa2ac791cfc7f57e1467b3e";
