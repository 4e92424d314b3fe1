/** The files that arguments name: paths, addresses, folders and patterns, whether or not a shell expanded them already. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "../host/mod.ts";

const PICTURE = /\.(png|jpe?g|webp|gif)$/i;

const RECORDING = /\.(wav|flac|mp3|og[ag])$/i;

/** Files that are recordings, by their names; all others are taken for pictures. */
export const isRecording = (path: string): boolean => RECORDING.test(path);

export const isAddress = (text: string): boolean => /^[a-z][a-z\d+.-]+:\/\//i.test(text);

const SIGNS = /[*?[\]{}()!]/;

/** Whether a text could be a pattern of files. */
export const isPattern = (text: string): boolean => !isAddress(text) && SIGNS.test(text);

/** Told of a folder within another that cannot be listed; it is an error where nobody is told. */
export type OnUnreadable = (folder: string, error: unknown) => void;

/** Media files below a folder, in the order of their names; hidden ones and links to folders are left out. */
async function mediaBelow(host: Host, folder: string, onUnreadable?: OnUnreadable): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { name, kind } of await host.listDir(folder)) {
    if (name.startsWith(".")) continue;
    const path = folder === "." ? name : folder.endsWith("/") ? `${folder}${name}` : `${folder}/${name}`;
    if (kind === "directory") {
      const below = mediaBelow(host, path, onUnreadable).catch((error: unknown) => {
        if (onUnreadable === undefined) throw error;
        onUnreadable(path, error);
        return [];
      });
      found.push(...(await below));
    } else if (PICTURE.test(name) || RECORDING.test(name)) {
      const isFile = kind === "file" || (await host.stat(path).catch(() => undefined))?.kind === "file";
      if (isFile) found.push(path);
    }
  }
  return found;
}

const plain = (path: string): string => path.replace(/^(\.\/)+/, "");

/** What Deno's types of the package leave out. */
interface PatternBase {
  scan(pattern: string): { readonly base: string };
}

/** @throws FoveaError `no_files` */
async function matching(host: Host, pattern: string, onUnreadable?: OnUnreadable): Promise<readonly string[]> {
  const { default: picomatch } = await import("#glob");
  const own = plain(pattern);
  const { base } = (picomatch as unknown as PatternBase).scan(own);
  const folder = base === "" ? "." : base;
  const there = await host.stat(folder).catch(() => undefined);
  const matches = picomatch(own);
  const found =
    there?.kind === "directory" ? (await mediaBelow(host, folder, onUnreadable)).filter((path) => matches(path)) : [];
  if (found.length > 0) return found;
  throw new FoveaError(
    "no_files",
    `No picture or recording matches ${pattern}; patterns have * within a folder and ** across folders, and slashes.`,
  );
}

async function oneGiven(host: Host, given: string, onUnreadable?: OnUnreadable): Promise<readonly string[]> {
  if (isAddress(given)) return [given];
  const there = await host.stat(given).catch((error: unknown) => {
    if (error instanceof FoveaError && error.code === "file.not_found") return undefined;
    throw error;
  });
  if (there?.kind === "directory") {
    const found = await mediaBelow(host, given.replace(/(?<=.)\/+$/, ""), onUnreadable);
    if (found.length > 0) return found;
    throw new FoveaError(
      "no_files",
      `There is no picture or recording in the folder ${given}; known are .png, .jpg, .webp, .gif, .wav, .flac, .mp3 and .ogg.`,
    );
  }
  if (there === undefined && isPattern(given)) return matching(host, given, onUnreadable);
  // What is not there is told when its turn comes, with all else that cannot be read.
  return [given];
}

/**
 * Every file once, in the order of the arguments and of names within folders.
 * @throws FoveaError `no_files` for a folder or pattern without any
 */
export async function findFiles(
  host: Host,
  given: readonly string[],
  onUnreadable?: OnUnreadable,
): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const one of given) for (const path of await oneGiven(host, one, onUnreadable)) found.add(path);
  return [...found];
}
