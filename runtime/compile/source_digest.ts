/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "21f7e71157c882ac04f60543468cd0b73fc71856cd3322f2857d8acc29891eb2";
