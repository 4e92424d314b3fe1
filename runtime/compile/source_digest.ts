/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5fee1ec201f75cc7ce335de53632becb6670cdf0a3fc053e08e4f66a5143fe76";
