/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "b93f1cdea758ef7f969d7b8d4273eeeba9507c332caff91e8fd85dca90875f05";
