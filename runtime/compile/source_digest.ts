/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "701edc8cd7ab81e48562874c96724746668f6e6f8be7e2a6f6531ad95d65a430";
