/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "42208f933563ff3be029061967b731bc0519d64c35993773059bf2b62fc83629";
