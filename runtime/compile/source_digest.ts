/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e090e92555e45c54057092adbebfd053156d89de262a31496b5feff7b4fa78ed";
