/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "869099b81fe419ec9981c7923029eeae253b9aac6664c0435337269814de9924";
