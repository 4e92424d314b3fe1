/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ff27368837945a99e284b221e1c711ee4b7e5d4185b9199c88d3963d42a530b2";
