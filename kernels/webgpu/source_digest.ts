/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "df579e405acb5f52efff7bffcb728e552dd84a5b7abc5cb5b418b09ce8bcc82a";
