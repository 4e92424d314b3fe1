/** SHA-256 of the sources of kernels/reference; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "73a136dd98549230840178dc54e9b8f5a1f32121613687dd7d313a914e49a332";
