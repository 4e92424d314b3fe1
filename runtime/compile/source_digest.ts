/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
<<<<<<< HEAD
export const SOURCE_DIGEST: string = "e5580f7305526e3a21fbb04da8fc278a0e6979c37c90358c0c45130551a9792e";
=======
export const SOURCE_DIGEST: string = "2fc190318b160764010afd5d078ba1963b3241555892332e2936266105689063";
>>>>>>> 7801aae (Resampling and ordering of pixels as ops, kernels and components)
