/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9d1fb5a775ec26bf7d0e0336c9412b4a3285fff8a4bef70e505e2f7b32d20199";
