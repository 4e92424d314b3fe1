/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "5ff98f2724a491127ce9e128e72345cea13e2c1916ff132281d4c90051deec79";
