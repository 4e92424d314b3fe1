/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "6c4d642fb7833a13a614f3c7813a215c49f037b26a5f3a13a8250bc8c8e4d09c";
