/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "717b1ab5542851eee423a728fc0325577b31c513f34f5da7863ecf0b59d88662";
