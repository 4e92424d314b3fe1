/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4b4c939543dbe4d13c94b12620aaf7214112ac10f3247a2f7fbb66990aae0d60";
