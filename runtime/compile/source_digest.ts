/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "076d43a18c2db7dc07c5e0aa1a9c074328093cb47d839969181da9f06f6d7a12";
