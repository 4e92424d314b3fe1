/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "c587bc3c87d27d20da791efc07240eb5dd27a3327351f6022727ee7ce630c28c";
