/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "cbc234c3744ead8af1cd0f48fb8e58c5c7d0d935fd54193dba5dffafe7c2af83";
