/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "41654be8c67a9b864c8dacd6ade42ad0ccbdd26c56261c67d45ae57b7bb6cf15";
