/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "329e77ee02f2b9b6548f17bf3249b359eed7969b03da872d2019dd6b5d7f5042";
