/** SHA-256 of the sources of kernels/reference; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "740f8f37c2f30e78eccae841307cf7e82c5feb6a7edee7251816519640618ba0";
