/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "9d456773a7a396915a968f1a1d606a214e1a99c24fd64460dacffc55541c99d2";
