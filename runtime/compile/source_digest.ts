/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "d762b54a874538345bd6d29d192e847093fcb1c644b51a7abb222e56400f2cf2";
