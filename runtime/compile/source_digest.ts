/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e5580f7305526e3a21fbb04da8fc278a0e6979c37c90358c0c45130551a9792e";
