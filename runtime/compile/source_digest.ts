/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "35591f8a2b8416237d2011d04c6b84970eb6ab846008bb31053bf18a95b4e27c";
