/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8720efaeb07089335f1720672e8d4f88e17a9d1132eafed44b3010b265b2192d";
