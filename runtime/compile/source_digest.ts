/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "0b35b0996b95cabf6780937a302ed873d0ece4c6216f354c8c66fb4b29ff2564";
