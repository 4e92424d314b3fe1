/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "625a3e29c6a0f2615aa9efa83342ded122c6dc7decbcb0872f0477c901ce52e7";
