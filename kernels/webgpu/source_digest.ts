/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "513fbccca8ae7c0d751058a63b8fa656951fb99ae84f7acc6d972d722fec63be";
