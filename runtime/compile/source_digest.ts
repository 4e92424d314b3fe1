/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "99b02a1c17382dcbe0bb0f9dfda5fa10a1cd11df41c69928be41452347b08c51";
