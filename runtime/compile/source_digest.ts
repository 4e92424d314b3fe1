/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c89e378f09a43923267a42e66b249c498a70aecd84ca3aeb12f9bd509baa735d";
