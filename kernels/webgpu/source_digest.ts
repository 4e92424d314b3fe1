/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4e8391ea30bad5ce1764dabd94ca863080736df9eb6a215d032b6c99262c4262";
