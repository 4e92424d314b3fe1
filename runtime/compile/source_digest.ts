/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4d3d3ad01c7e5d966ad76368d871da5cc87f69674913ed28350d73a32d381fdd";
