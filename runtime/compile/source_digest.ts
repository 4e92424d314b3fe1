/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "49ad3be3935c64893bf717052ff0e33a522fd548a91d7f0a6f13dbbfaed2d3d2";
