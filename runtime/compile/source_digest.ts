/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "583fd75ad453ec7cbd0323d8b024c64765242043fdf05ff755eb85ffdaf328af";
