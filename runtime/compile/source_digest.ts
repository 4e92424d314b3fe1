/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "1c8fc5cdea57a6397509a35a40fc58fcdac01915e62a3960839cc5cb04e18f55";
