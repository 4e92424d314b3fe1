/** SHA-256 of the sources of kernels/reference; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c89f584f7eb06cc8a97724312fe29030db992514ec8ed12641f0a10068170e0d";
