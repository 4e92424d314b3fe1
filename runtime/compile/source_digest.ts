/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a92e0761dc8fc3b2b689324a1e646803317892a904188c02723ed6712fd9f2fc";
