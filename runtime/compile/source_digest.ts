/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a7a0aa9a1ad5f864b848716a82cb310e1c349ab8daaea5e97e6a8b8bdb790a13";
