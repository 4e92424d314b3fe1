/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "b83ed43a353df142f01d0ebdbc7bdb8ee73e2c291e50293ddb2612f20877e349";
