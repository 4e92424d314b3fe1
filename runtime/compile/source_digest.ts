/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "b289ffec3ea30df2d45000b31b0a84532f6199a606e0cb667f4e5f07bd27ff7b";
