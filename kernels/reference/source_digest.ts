/** SHA-256 of the sources of kernels/reference; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "b0918dfc92d81fb423efda138fd2d621bba56240f527fdc633f17003a1c3e1f0";
