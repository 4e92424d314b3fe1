/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "270faaa7ce685cfff020c4fd41d8d57190f6c3ad982602e0c57ed098c4df7b5d";
