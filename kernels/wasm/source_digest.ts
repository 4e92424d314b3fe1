/** SHA-256 of the sources of kernels/wasm; written by `npm run build`, part of every request digest. */
<<<<<<< HEAD
export const SOURCE_DIGEST: string = "c945932c3dbc9a27d13b5a03879cb943383a1774c52afb0e43f0547c56e9a6ce";
=======
export const SOURCE_DIGEST: string = "d7308498d6a24e175a72474e878ce48f17ee19bb6a349f2912f99ab03b89bf5d";
>>>>>>> 7801aae (Resampling and ordering of pixels as ops, kernels and components)
