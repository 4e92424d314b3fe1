/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "3052a987d023e7a08ec475cc163f887af7ff3ab0847bcb607c026a0df5a1f6fd";
