/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5654517573f074a535d5dc5375e29a84d0b652d72366d66fbe9ae6f532b976fe";
