/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "75758f158f16f49a8bec217ee789091b17fffd14ce91dd127c1df2ba2c2e452d";
