/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "029c915b38acfe7bbb0c05283fe1850608ee2eef3a32f678047d4a08ca794bae";
