/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "36700b534ba96952721096a35fc8cd9317e5ec4aeff4f68bd5471bcae260f2df";
