/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "7e2de4f78dd5ec403f54d4620d261345edf422fa1441043b8be0d022be3f8069";
