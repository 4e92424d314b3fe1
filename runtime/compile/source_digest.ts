/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8db824329c0bab4db8dd2d019d0532d2973e3d956e2bc4e9b38185858294bbe9";
