/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "038b805b2ba42bb173261d3554470c170d316acc94b42c9fd6bef9b60c694369";
