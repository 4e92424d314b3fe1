/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "82aab758af3b884a20f061195414d4b2c180ff958b9c1263b2215b641e66e820";
