/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8504c617661fb9956950bce397b03e27664a2437da6a8eb582cc661013460166";
