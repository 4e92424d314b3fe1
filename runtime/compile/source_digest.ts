/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "504b8726b1ec3b73bbc3d499a142dd8fd74d6ea2ce422b1c965793c4f9c09a97";
