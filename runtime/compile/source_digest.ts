/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "6cd2b66cec65417b4eb3901f7fee82e4c3efc35269047c7b4be085f51f129e93";
