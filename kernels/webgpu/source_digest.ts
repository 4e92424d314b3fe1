/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "6138b3c4934ae1619ba0bdc9c40dad758a49a1a22a1fb1c3f5b30d490401a8ea";
