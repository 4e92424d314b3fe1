/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "889b81dd436e601defc561de7f8307ca3ccfd49e49c03d99c0944da8232fcc6d";
