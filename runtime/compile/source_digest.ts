/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "1f9e478a85320a8eec53ebf65dfaf7ed990552f342948d36ec790a2dfd177fea";
