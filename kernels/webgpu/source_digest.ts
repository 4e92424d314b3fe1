/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "50ae7466faca3eaab05174154c98443c30c0889e1dbf3561b738a35efdfcc56e";
