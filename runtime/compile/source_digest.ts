/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "de83d906c1c7a2d12250b2f52d9ce1b72e463ab70dd3d2ef674efd986f4ccad1";
