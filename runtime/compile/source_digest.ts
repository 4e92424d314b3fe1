/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4a4e3daf1741dc1d2275626d85633ff91788e01bc693d0e1572ff11e36641af6";
