/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "cc496e93bd48d1d1704de2dd20540698804fe18b64b870741af97f108a49b740";
