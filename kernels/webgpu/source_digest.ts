/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "118c11f52da1c03249e0c5f9c76ab1cb746f3fd361dd4f0eb3478d1256967e5e";
