/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "24cdadc3650249b17ac685a5821c2c366eba6ea1a03f4c7459ddf3fa7cfd5059";
