/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4352a75f0dd245fa31914638aaa5f091a1e0f1490129bdabd370e6967fa467de";
