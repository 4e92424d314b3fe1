/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "2c5c8fc6126fdd4a7a372825586c712d383115421f5f3d24c38d0215be267b82";
