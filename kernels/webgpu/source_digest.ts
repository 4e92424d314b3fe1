/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "0f2588ebf7f07ee75b39846c63635d7cbed8fb2d33844b752316a7c1cb644afb";
