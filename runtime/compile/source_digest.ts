/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c31672a796b5df51f19377e39dbabab09eaafaf36f63dd44bf5cb3e85c3fd53c";
