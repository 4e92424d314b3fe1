/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "bafbe725198a532e321061d78bff986577415ff0f77d823fb4742df4b4883c44";
