/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "013c9a16461afd8effe2bdf194b05152fe27d84c9f401e0e4df6c7d0712f7f94";
