/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "1fb2d259eec367a96f27e1a9ac09b2dd55599f7328022680473f5bbc64067ea5";
