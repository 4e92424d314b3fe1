/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5bf8b9d8cb8f3867bf1b7b72099090b8455fb14e47e9f81a16f5abab4368217e";
