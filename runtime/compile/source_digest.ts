/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "03fbd55fac824ef92500320eaa2abeb42412cfb9d76ede6621060e90fb4f455e";
