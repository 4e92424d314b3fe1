/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "86353d2cb0fdf5c0abb7f8605bd0fa16ad20f015d6b997b5d7d36e0ebffc2490";
