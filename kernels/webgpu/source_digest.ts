/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "43d471f35b187d433260f2a67f7f68f55dbd2b30a989664d46cc85f71094aa25";
