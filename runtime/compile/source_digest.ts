/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "63298af286f1461d0ca08c30c0a07da9d9b18a29c678b60a7d6f936855fe101a";
