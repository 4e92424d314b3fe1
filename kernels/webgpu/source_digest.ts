/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "77b7f53b41238bd296793ce07aca5513f40652156661fbff6ffae7af6ea42d34";
