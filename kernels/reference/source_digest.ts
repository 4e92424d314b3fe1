/** SHA-256 of the sources of kernels/reference; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "02ecd820fbadde917a578248afdd2cd0cda1cf9a415f59f823404b6ae6501a82";
