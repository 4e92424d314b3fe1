/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "1e0238bf3f4cd57a70cb2bfa22988b786efe3d5fd55f82413471086be7213adc";
