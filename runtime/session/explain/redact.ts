/** Removes what says where a report was made: paths, addresses of files, and texts that the caller knows. */

/** Two or more parts below a root, a drive, a home folder or a `file:` address. */
const PATHS = /(?:file:\/\/[^\s"'`<>|]*)|(?<![\w.:/\\~-])(?:~|[A-Za-z]:)?(?:[\\/][^\s"'`<>|:;,()[\]{}\\/]+){2,}[\\/]?/g;

/** Last part of a path, which may name a file of the model or of the code. */
const lastPart = (path: string): string => /[^\\/]*$/.exec(path.replace(/[\\/]+$/, ""))?.[0] ?? "";

function redactText(text: string, known: readonly string[]): string {
  let out = text;
  for (const secret of known) out = out.replaceAll(secret, "<hidden>");
  return out.replaceAll(PATHS, (path) => `<path>/${lastPart(path)}`);
}

/**
 * The same data with every text redacted: absolute paths keep their last part alone.
 * @param known texts to hide wherever they stand, such as a model's path as it was typed
 */
export function redact<T>(value: T, known: readonly string[]): T {
  const secrets = known.filter((k) => k.length > 1).sort((a, b) => b.length - a.length);
  const walk = (v: unknown): unknown => {
    if (typeof v === "string") return redactText(v, secrets);
    if (Array.isArray(v)) return v.map(walk);
    if (typeof v !== "object" || v === null) return v;
    return Object.fromEntries(Object.entries(v).map(([name, one]) => [redactText(name, secrets), walk(one)]));
  };
  return walk(value) as T;
}
