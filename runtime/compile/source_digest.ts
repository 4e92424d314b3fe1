/** SHA-256 of the sources of the compiler; written by `npm run build`, part of every request digest. */
export const SOURCE_DIGEST: string = "e15709b931cdb44ef6b132fc34cbb9a12ec6129b23a6737f21a8593bda3a7e87";
