/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "669cf2463d1e651797c1f38102f3288a99722dbc42963830ee0c2118a3d05207";
