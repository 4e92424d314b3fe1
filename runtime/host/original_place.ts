/** Source maps: from a line of compiled JavaScript to the line of its TypeScript. */
import type { SourcePlace } from "../core/source_place.ts";

interface MapPayload {
  readonly sources: readonly string[];
  readonly sourceRoot?: string;
}

const pathOf = (file: string): string => (file.startsWith("file:") ? decodeURIComponent(new URL(file).pathname) : file);

/**
 * The place in the source that the map beside a compiled file (`x.js.map` of `x.js`) names.
 * Nothing for other files and where no map is there or readable.
 */
export async function originalPlace(
  place: SourcePlace,
  readFile: (path: string) => Promise<Uint8Array>,
): Promise<SourcePlace | undefined> {
  if (!/\.[cm]?js$/.test(place.file)) return undefined;
  try {
    const text = new TextDecoder().decode(await readFile(`${pathOf(place.file)}.map`));
    const payload = JSON.parse(text) as MapPayload;
    const { SourceMap } = await import("node:module");
    const map = new SourceMap(payload as ConstructorParameters<typeof SourceMap>[0]);
    // Lines and columns of stacks begin with 1, those of maps with 0.
    const entry = map.findEntry(place.line - 1, place.column - 1);
    if (!("originalSource" in entry) || entry.originalSource === undefined) return undefined;
    return { file: entry.originalSource, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
  } catch {
    // A missing or broken map must not hide the error that is being told.
    return undefined;
  }
}
