/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "97f8c5927470c8785dd174d979ddd7bfd31f47f0707c8e907684c44102a2faae";
