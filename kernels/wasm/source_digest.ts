/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "55a1cb7841feb65facdacce359f614bde24c60623dab2fa40b5823629660302f";
