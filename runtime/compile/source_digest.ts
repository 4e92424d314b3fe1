/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ba769005373271161d949387fe3148bf0396bfb6c32ca77ec546e5d31e871ae6";
