/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "ba2df1a6c0d0776c88fb7cd436d79fdc793fa5bdd8cdb54713e8dad325499085";
