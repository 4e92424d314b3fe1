/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "86b403934b7e111c28429ebd1c8cbf71887ed164ff44c6df0578b4d7aba923c1";
