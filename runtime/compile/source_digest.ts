/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "64c8e423ddcd841e7088db5e1427a48c0ba653420b7965da45bc8f6aa2fd89b0";
