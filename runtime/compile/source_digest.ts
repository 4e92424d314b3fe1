/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c05ee4a9c3c4090293b463629af91680fddf3c7df69ff8b31db5db370a3379b8";
