/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "dd10b0290d8c95989d5fd039e318852a60e844b3944112754160173c1c9ffea6";
