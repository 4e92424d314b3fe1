/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a9ecb6a510abf2e6368fe54e4250150d557e57ba76d721c35bc7b7b6d57ac95c";
