/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8e5331cd6e8eca945f5d058f5778abc092ed7691788093e6578e98f337d69409";
