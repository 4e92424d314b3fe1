/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a60b3985fce72f71cc12b836c7b0d368bd3a4fa158d69d8bfbd1d5aac2742736";
