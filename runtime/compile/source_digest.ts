/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "11fa06f0dc2717066741346a0dc9dae5001a893e9bc5970e9f7f519cde9404b9";
