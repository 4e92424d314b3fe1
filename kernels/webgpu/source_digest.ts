/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a193d3811c16a07cfa9cfc3d9022e201bb4b4826668398b70b6b2c535084dea5";
