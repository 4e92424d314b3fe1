/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "94aaac7c5fcf861e7e3bd458df049a33245c4578cc350172c10511e2eebb95a5";
