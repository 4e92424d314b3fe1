/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a5f414aa2d4c7bdaf94a207609142eb02fc0b9a343ccbb148ff5786bf7a3ac7c";
