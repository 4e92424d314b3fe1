/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4a4d303189231a5dca388efee15321986aecf4f8beb9ea5fc12f0702ae1a5948";
