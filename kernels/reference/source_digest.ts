/** SHA-256 of the sources of kernels/reference; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "f58f2e00f9eac6ab4cdaefd9ff79e9129479dcbfafff0e400dadbd82a8ba65bd";
