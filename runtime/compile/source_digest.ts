/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "36ec3acfa711c2fe72daa788e7060146299a40b55bd72302f85828c2ec4e1664";
