/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ea3be74c1410f99acb5c08591519a5090e706b32def91ee9e2d4773cc2232742";
