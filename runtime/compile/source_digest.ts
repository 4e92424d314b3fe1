/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "1c8fc5cdea57a6397509a35a40fc58fcdac01915e62a3960839cc5cb04e18f55";
||||||| parent of 3723070 (Videos, tiles and GIF in the docs; a third party's video processor tested)
export const SOURCE_DIGEST: string = "a63b8107f430551fc57e8b75ee02d637632e49cb37e6ae82f18f9f6bd0d09f5b";
