/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "42d1111570d83bd2a0ca6cd597740682b136dc17b23bac65584746deaafc3101";
