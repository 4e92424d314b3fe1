/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "7764dcce903089f43552fa1dd317e22f4b3b4c8f7d5acd5071cae81ff921389a";
