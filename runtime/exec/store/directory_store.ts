/**
 * A store in a folder: one file per key. Files are written under a temporary name and renamed, so that any number of
 * processes may fill one folder at once. Whatever is wrong with the folder (read-only, full, gone, a file in its place)
 * is told once; from then on as before, what can be read is read and what can be written is written.
 */
import { FoveaError } from "../../core/diagnostics.ts";
import { checkStoreKey, isStoreKey, type Store, type StoredValue } from "./store.ts";

/** The file functions of a host that a directory store needs; they throw `FoveaError` with `file.*` codes. */
export interface StoreFiles {
  readFile(path: string): Promise<Uint8Array>;
  openFile(path: string): Promise<StoredValue>;
  writeFileAtomic(path: string, bytes: Uint8Array): Promise<void>;
  mkdir(path: string): Promise<void>;
  remove(path: string): Promise<void>;
  listDir(path: string): Promise<readonly { readonly name: string; readonly kind: string }[]>;
}

export interface DirectoryStoreOptions {
  /** Called at most once, with a sentence for the user. */
  readonly onProblem?: (sentence: string) => void;
  /** Throws what is wrong instead: for who works on the folder itself, and can do nothing without it. */
  readonly strict?: boolean;
}

const isAbsent = (error: unknown): boolean => error instanceof FoveaError && error.code === "file.not_found";

/** Throws nothing unless `strict`; nothing is touched before the first call, and the folder is created by the first `put`. */
export function createDirectoryStore(files: StoreFiles, dir: string, options: DirectoryStoreOptions = {}): Store {
  const root = dir.replace(/(?<=.)[/\\]+$/, "");
  const made = new Set<string>();
  let told = false;

  const pathOf = (key: string): string => {
    checkStoreKey(key);
    return `${root}/${key}`;
  };

  const tell = (error: unknown): void => {
    if (options.strict === true) throw error;
    if (told) return;
    told = true;
    const reason = error instanceof Error ? error.message : String(error);
    const sentence = /[.!?]$/.test(reason) ? reason : `${reason}.`;
    options.onProblem?.(
      `The cache folder ${root} does not work: ${sentence} fovea goes on without it and compiles again what it would have kept; choose another folder with \`cache\`, on the command line with --cache or FOVEA_CACHE_DIR.`,
    );
  };

  /** The value of `run`, or `otherwise` when the file is absent or the folder does not work. */
  const attempt = async <T>(run: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await run();
    } catch (error) {
      if (!isAbsent(error)) tell(error);
      return otherwise;
    }
  };

  const write = async (path: string, bytes: Uint8Array): Promise<void> => {
    const folder = path.slice(0, path.lastIndexOf("/"));
    if (made.has(folder)) {
      try {
        return await files.writeFileAtomic(path, bytes);
      } catch (error) {
        // The folder was deleted since; it is made again below.
        if (!isAbsent(error)) throw error;
      }
    }
    await files.mkdir(folder);
    made.add(folder);
    await files.writeFileAtomic(path, bytes);
  };

  const walk = async (folder: string, key: string, prefix: string, into: string[]): Promise<void> => {
    for (const { name, kind } of await attempt(() => files.listDir(folder), [])) {
      const inner = key === "" ? name : `${key}/${name}`;
      // Temporary names hold dots, which keys do not.
      if (!isStoreKey(inner) || !(inner.startsWith(prefix) || prefix.startsWith(`${inner}/`))) continue;
      if (kind === "directory") await walk(`${folder}/${name}`, inner, prefix, into);
      else if (inner.startsWith(prefix)) into.push(inner);
    }
  };

  return {
    description: `folder ${root}`,
    get: (key) => {
      const path = pathOf(key);
      return attempt<Uint8Array | undefined>(() => files.readFile(path), undefined);
    },
    open: async (key) => {
      const path = pathOf(key);
      const file = await attempt<StoredValue | undefined>(() => files.openFile(path), undefined);
      return file && { ...file, read: (into, position) => attempt(() => file.read(into, position), 0) };
    },
    put: async (key, bytes) => {
      const path = pathOf(key);
      try {
        await write(path, bytes);
      } catch (error) {
        tell(error);
      }
    },
    delete: (key) => {
      const path = pathOf(key);
      return attempt(() => files.remove(path), undefined);
    },
    list: async (prefix) => {
      const found: string[] = [];
      await walk(root, "", prefix, found);
      return found.sort();
    },
  };
}
