/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8770ca2759c145594c7118a3a66edb94cd5dda12575d4b6d946a6e685c3892f9";
