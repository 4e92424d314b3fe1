/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "a76d915308edf6253b81e741545a1b710a9db81f45015fecb3e9896621286e58";
