/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "0fe08a14cfedbf2e5500b08517009824c63c604e526c05215db2e585a2be66ab";
