/** What the code of a frozen folder offers to its own files. */
export type { FrozenEncoder, FrozenHost } from "./api.ts";
export { type FrozenParts, openFrozen } from "./open.ts";
