/** SHA-256 of the sources of kernels/reference; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "f46a17a64f1cb6a7560c401c9dffe7dfce8dd59e6cf5a762233208810d4c514d";
