/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4a439bea89512dce1c144ab1bc6872e0b6757e63c9c6e35578c9b70e154fbcd1";
