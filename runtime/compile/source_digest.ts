/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e047400e1fd475f61b9e2ab121998f685f9707668aeb27c49e088f4c18fcdd9c";
