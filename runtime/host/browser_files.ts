/**
 * Files of a page: entries of the browser's Cache storage, whose addresses lie below a server that does not exist. They hold
 * what a runtime with `cache: "fovea"` keeps. The browser may drop them when space is short, never a part of one.
 */
import { FoveaError } from "../core/diagnostics.ts";
import { withFileErrors } from "./file_error.ts";
import type { DirectoryEntry, FileStat, OpenFile } from "./host.ts";

const BASE = "https://files.fovea.invalid/";

/** The part of the Web's `Cache` that is used. */
export interface EntryCache {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<void>;
  delete(url: string): Promise<boolean>;
  keys(): Promise<readonly { readonly url: string }[]>;
}

export interface BrowserFiles {
  readFile(path: string): Promise<Uint8Array>;
  openFile(path: string): Promise<OpenFile>;
  listDir(path: string): Promise<readonly DirectoryEntry[]>;
  stat(path: string): Promise<FileStat>;
  writeFileAtomic(path: string, bytes: Uint8Array): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
}

const segments = (path: string): readonly string[] => path.split("/").filter((s) => s !== "" && s !== ".");

/** Address of a path, without a slash at its end. */
const addressOf = (path: string): string => BASE + segments(path).map(encodeURIComponent).join("/");

const notFound = (path: string): never => {
  throw Object.assign(new Error("is no entry of the browser's cache"), { name: "NotFound", path });
};

/** @param open the cache; its errors become those of the files */
export function createBrowserFiles(open: () => Promise<EntryCache>): BrowserFiles {
  let opened: Promise<EntryCache> | undefined;
  const cache = (): Promise<EntryCache> => {
    opened ??= open();
    opened.catch(() => {
      opened = undefined;
    });
    return opened;
  };

  const find = async (path: string): Promise<Response> =>
    (await (await cache()).match(addressOf(path))) ?? notFound(path);

  const readWhole = async (path: string): Promise<Uint8Array> => new Uint8Array(await (await find(path)).arrayBuffer());

  const write = async (path: string, bytes: Uint8Array): Promise<void> => {
    const headers = { "content-length": String(bytes.length), date: new Date().toUTCString() };
    await (await cache()).put(addressOf(path), new Response(bytes.slice(), { headers }));
  };

  /** Entries directly below a folder; there is one where something lies below it. */
  const list = async (path: string): Promise<readonly DirectoryEntry[]> => {
    const prefix = segments(path).length === 0 ? BASE : `${addressOf(path)}/`;
    const found = new Map<string, DirectoryEntry["kind"]>();
    for (const { url } of await (await cache()).keys()) {
      if (!url.startsWith(prefix)) continue;
      const [name, ...deeper] = url.slice(prefix.length).split("/");
      found.set(decodeURIComponent(name), deeper.length === 0 ? "file" : "directory");
    }
    const names = [...found.keys()].sort();
    return names.length === 0 ? notFound(path) : names.map((name) => ({ name, kind: found.get(name) ?? "file" }));
  };

  return {
    readFile: (path) => withFileErrors("read", path, () => readWhole(path)),
    openFile: (path) =>
      withFileErrors("open", path, async () => {
        const blob = await (await find(path)).blob();
        return {
          size: blob.size,
          read: (into, position) =>
            withFileErrors("read", path, async () => {
              const part = await blob.slice(position, position + into.length).arrayBuffer();
              into.set(new Uint8Array(part));
              return part.byteLength;
            }),
          close: async () => undefined,
        };
      }),
    listDir: (path) => withFileErrors("list", path, () => list(path)),
    stat: (path) =>
      withFileErrors("read", path, async () => {
        const entry = await (await cache()).match(addressOf(path));
        if (entry === undefined) {
          await list(path);
          return { kind: "directory", size: 0, modified: 0 };
        }
        const size = Number(entry.headers.get("content-length"));
        return { kind: "file", size, modified: Date.parse(entry.headers.get("date") ?? "") };
      }),
    writeFileAtomic: (path, bytes) => withFileErrors("write", path, () => write(path, bytes)),
    rename: (from, to) =>
      withFileErrors("write", to, async () => {
        await write(to, await readWhole(from));
        await (await cache()).delete(addressOf(from));
      }),
    remove: (path) =>
      withFileErrors("delete", path, async () => {
        await (await cache()).delete(addressOf(path));
      }),
  };
}

/** The part of a page's globals that is used. */
export interface CacheScope {
  readonly caches?: { open(name: string): Promise<EntryCache> };
}

/** The browser's Cache storage. @throws FoveaError `file.denied` where a page has none */
export async function openCacheStorage({ caches }: CacheScope): Promise<EntryCache> {
  if (caches !== undefined) return caches.open("fovea");
  throw new FoveaError(
    "file.denied",
    "The browser keeps files for secure pages alone; serve this one over https or from localhost.",
  );
}
