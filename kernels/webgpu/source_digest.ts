/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "05cf5742a7dd210c6ac81104b785d17a503a5d4b1f3d05c1af7e099c1d416e5f";
