/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "82bc78c3e6a123cf6bf790f6716955f56f6c0dbf978bf2a88c6dcc5df871a819";
