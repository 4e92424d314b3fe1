/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "88130ae1f411d775f2cd5a8068e884f0ac60b430bcf7c07057a6f43e136e985e";
