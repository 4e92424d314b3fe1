/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8b61f833961dac7f0c714cbfccc3eb4883abac14eb7a6532d144faff13b45ac3";
