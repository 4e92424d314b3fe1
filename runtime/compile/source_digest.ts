/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "59febe4bc7f74ee3bd427daac98367fd5f795b463d77790de70a0abe2969f891";
