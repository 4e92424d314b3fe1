/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "3db84b705505e53a62fbefdadeb01a15f323324630f189bef22f8da7a2df969b";
