/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "64bf26be4615d882dd26759b8041888f7e0332a36e965bf49b323a9747506991";
