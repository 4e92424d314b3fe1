/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "67bdf380b03d45ab7a08c2bc334a8d35e17fbd6e27eda9375985348f9c2c7884";
