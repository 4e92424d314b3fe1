/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "307c186c7b43727bd2183408f4001241c2182b301dd3231b550fd9e2cb0e6506";
