/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a8e055f690b0c7049015ac2fa5f9176a12a0733bf5201a6f20c7420a2505cef5";
