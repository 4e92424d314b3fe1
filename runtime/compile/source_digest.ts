/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "aea17e97c5d542e586f2eb8e70620a0fd633a62cfb210fa325185de3ec2adfe6";
