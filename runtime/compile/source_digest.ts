/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "999b733ca9189c1c1c04eeea4c537eb11ecebeb160e3bc80e5a1ea6e0f287ae5";
