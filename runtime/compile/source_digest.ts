/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a13711ba77b1a25090ac97668f6149216eb0dad1ac9e507086be0ae0e16c2c2c";
