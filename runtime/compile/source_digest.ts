/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "1d17ecbb9c2a592d590c52a1d897e9bffe2dbdb8fac057c2d28a97d7b51dc229";
