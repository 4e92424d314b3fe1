/** SHA-256 of the sources of kernels/reference; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5f3e8254ea21a91780401eaa95a5204b59e132b6de51ba5c103fa041a0dbb670";
