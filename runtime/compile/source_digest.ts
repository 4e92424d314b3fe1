/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "b709d2ba7254163cd4fb1d456085bf184008b48b9631f4349897effd8f88be08";
