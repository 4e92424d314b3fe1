/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "8736cc5988f3ba44d3effd86351713c9afa8a9eb45beb2f061cf97b08692e7ec";
