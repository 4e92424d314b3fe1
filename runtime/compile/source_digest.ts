/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "3562bad8baa6782a2d6ddd6dde8d01facc77f497111b4534e10a9fca16e8a384";
