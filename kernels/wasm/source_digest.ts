/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "16af3d9064b3ee88185e0e0552dcdd1753e49736567a17556897ba207afc8caf";
