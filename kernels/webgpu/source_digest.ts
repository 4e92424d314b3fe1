/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "b3ff396a8460a95a905ee0607ee8c39d7ad629f0b671951ecb982b6857bb7551";
