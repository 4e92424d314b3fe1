/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a36f7edcfabaff5368d1eb03342da53ee4f82102bc7906e3bbf427a84c155323";
