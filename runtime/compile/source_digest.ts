/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "33598c02c5f5c8092f3291a526f51e3d2e262e58ab9909cd60e48d2f352ab9c5";
