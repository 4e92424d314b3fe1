/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "30ebd4c0f51e64a7973d79c23a4a89153946c7c21a1576cc3487ece3ace689ca";
