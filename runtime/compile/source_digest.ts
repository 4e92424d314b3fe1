/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "7466a66fb20009d883f2791d00f53a42545b1da3fb8c9435d1be62bb2dc473a1";
