/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "804f56e206eb97e4c6475938b751756736859ed1c6ca9e2a91e405f7ad3c718b";
