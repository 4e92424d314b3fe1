/** Text of plain data by its structure: what is equal has equal text, and parts that occur again are written once. */

const leafText = (value: unknown): string =>
  typeof value === "number"
    ? Object.is(value, -0)
      ? "-0"
      : String(value)
    : typeof value === "string"
      ? JSON.stringify(value)
      : String(value);

/**
 * Canonical text of plain data without cycles: objects by their properties in any order, arrays, strings, booleans,
 * `undefined`, `null` and all numbers, of which -0, NaN and the infinities stay apart. Every distinct object or array is
 * a line that names its parts by their lines, so that the text grows with the number of distinct parts: an expression in
 * which each step reads the one before twice takes a line a step.
 */
export function structureKey(value: unknown): string {
  const lines = new Map<string, number>();
  const seen = new Map<object, string>();
  const visit = (part: unknown): string => {
    if (typeof part !== "object" || part === null) return leafText(part);
    const before = seen.get(part);
    if (before !== undefined) return before;
    const text = Array.isArray(part)
      ? `[${part.map(visit).join()}]`
      : `{${Object.entries(part)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, field]) => `${JSON.stringify(name)}:${visit(field)}`)
          .join()}}`;
    const line = lines.get(text) ?? lines.size;
    lines.set(text, line);
    seen.set(part, `#${line}`);
    return `#${line}`;
  };
  const root = visit(value);
  return `${[...lines.keys()].join("\n")}\n${root}`;
}
