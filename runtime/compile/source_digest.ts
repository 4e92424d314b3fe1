/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8b98c8728b9cd90f74777670bfc9841c4c1dfd53da47b5b1f42d0b287796db98";
