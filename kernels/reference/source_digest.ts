/** SHA-256 of the sources of kernels/reference; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "3b7452ace18799e9f1e6fd5b9abac72d8c43ab858e963a1a80b6c9d19195d611";
