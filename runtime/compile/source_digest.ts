/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "93a6740747cf6aeba20913970f6ae49d0c94c0de27530948e3bf0d6f45999512";
