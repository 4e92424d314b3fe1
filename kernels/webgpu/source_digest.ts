/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "6376cef359dc505dd490a7d6bc1017f263b8f33205651de50401b428e8b0eff6";
