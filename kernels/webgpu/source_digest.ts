/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "be388a6fff356e55c681f5009ed1a617a7f15b2e26be24964af963a84efd4c7e";
