/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "159bed64381a1c8686a6c913adca7700bd46bf6900a18ac6a0b3c9751f74713d";
