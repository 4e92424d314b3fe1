/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "0ca3c77e58a839cbcb99c3d788fa490e8f3383774dd894e407926253dced1c4f";
