/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ac2c1e742e6963193668e5994d0ae525b29740bfa4494d66b16a4cdc40cc595e";
