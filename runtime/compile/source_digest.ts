/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "99ecdf070078342cc659139473730f47e83625eecbcf86993a8f620a2a65f160";
