/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8fa45bb14f4b2458a4fa5c07b6609a366d1f7db8949978247537e1b005bebbf6";
