/** Lines of an author's source, read from stack traces. */
import { literalPattern } from "./literal_pattern.ts";

/** A place in a source file. */
export interface SourcePlace {
  /** Path or `file:` URL, as the engine names it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

const FRAME = /((?:[a-z][a-z+.-]+:\/\/|[A-Za-z]:[\\/]|\/)[^()]*?\.[cm]?[jt]sx?):(\d+):(\d+)\)?\s*$/;

/** The first frame of a stack that is not of a file that `skip` matches. */
export function placeInStack(stack: string, skip: RegExp): SourcePlace | undefined {
  for (const text of stack.split("\n")) {
    const found = FRAME.exec(text);
    if (found === null || skip.test(found[1])) continue;
    return { file: found[1], line: Number(found[2]), column: Number(found[3]) };
  }
  return undefined;
}

/** `clip.ts:41` */
export function placeText({ file, line }: SourcePlace): string {
  return `${file.replace(/^.*[/\\]/, "")}:${line}`;
}

/** The source of a pattern for the files below or, with `[^/]*$` behind it, in a folder. @param path relative to `address` */
export const folderPattern = (path: string, address: string): string =>
  literalPattern(decodeURIComponent(new URL(path, address).pathname));
