/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "b2285668c866f8818a3b45e764064c7a627aebbbafde1a351d976c8743e34cad";
