/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "792ceedd4046f64d5f6e3835092c145eb84a9a5d05470986d7c83b2c9f873bc3";
