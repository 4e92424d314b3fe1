/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ca3f5bc9ff9e8f14b2a40502f6f7270487b886efdf2f2efece615467bac226e3";
