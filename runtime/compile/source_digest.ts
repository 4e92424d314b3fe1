/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "4650f1bdfe28fc01b640c49fa7e6fd3de2635afc9c7a999310f15e31a7239f57";
