/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "f0ed76e0201baa0607be334b0530945cffde2c82ab6a414853e8bd62f3bba94e";
