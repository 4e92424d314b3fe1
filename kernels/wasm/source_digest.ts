/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8a9cab26fbbb2076ad66eb269c779c24ea4de746d25a7f64fa68464537de6500";
