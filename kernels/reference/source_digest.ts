/** SHA-256 of the sources of kernels/reference; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "36620386b1e7c54ade8b285cfacd0c6c3043d0dd3b7c439879d45420d055c79f";
