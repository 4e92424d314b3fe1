/** Names that no other process chooses; readers of folders leave out what ends so. */
export const TEMPORARY_SUFFIX = ".tmp";

export function temporaryName(path: string): string {
  return `${path}.${crypto.randomUUID()}${TEMPORARY_SUFFIX}`;
}
