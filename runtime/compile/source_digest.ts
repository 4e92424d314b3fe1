/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "249d27834fdd5f14f739efcd64848906d87f34093309d603e438cab0d5b9889e";
