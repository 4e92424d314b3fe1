/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "90cc1d999e896e76c4aa17d18511ade5594ef4c016ba3567dfa4f8e4b66472f6";
