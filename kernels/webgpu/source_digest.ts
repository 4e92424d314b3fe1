/** SHA-256 of the sources of kernels/webgpu; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "2c82945672f5845f48356106b5a986179e9205a673936dab8f3fdf3f27514187";
