/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "1f4571390082c7537e343d8bc8f6d7c92bc8800db25375996c3697788f9c3bce";
