/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "0e5577527614cd9cd56070142d2bee633c2f15620c8d9d0f6ac01f09b75b6abb";
