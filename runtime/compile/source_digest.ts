/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "175eb500ffa2a992dfbb737ae5d650ab49056f2c904ed0b6ab7e2d7ae8960147";
