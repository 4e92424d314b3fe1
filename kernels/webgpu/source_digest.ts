/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "fe0245811c1bc47976e8588db37d2c9cc1c52304c9f6bcc6b1c260950c31c141";
