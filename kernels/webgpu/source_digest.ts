/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "817f832a9117e87264ac5659cd1d0edfcdb857efccd4fa8123b9b01283a963cd";
