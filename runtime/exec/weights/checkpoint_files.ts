/** The files of a model, wherever they lie. */
import { FoveaError } from "../../core/diagnostics.ts";
import { type ByteSource, blobSource, memorySource } from "./byte_source.ts";

/** A model's files where a caller keeps them by itself: what `load` asks for, and nothing more. */
export interface CheckpointFiles {
  /** For messages: a folder, an address. */
  readonly description: string;
  /** Names of the files, sorted. */
  list(): Promise<readonly string[]>;
  /**
   * Opens a file by its name, which may have slashes (`1_Pooling/config.json`).
   * @throws FoveaError `file.not_found` and others that say why the file cannot be read
   */
  open(name: string): Promise<ByteSource>;
  /** Names of the weights' tensors, where they are known before the weights can be opened; nothing where they cannot be told. */
  tensorNames?(): Promise<ReadonlySet<string> | undefined>;
}

/** The file functions of a host that are needed to read a folder. */
export interface FolderFiles {
  listDir(path: string): Promise<readonly { readonly name: string; readonly kind: string }[]>;
  openFile(path: string): Promise<Omit<ByteSource, "name">>;
  /** Without it files have no identity. */
  stat?(path: string): Promise<{ readonly size: number /** Milliseconds since 1970. */; readonly modified: number }>;
}

/** Files of a folder. Links count as files, since download caches are made of them. */
export function directoryFiles(files: FolderFiles, dir: string): CheckpointFiles {
  const root = dir.replace(/(?<=.)[/\\]+$/, "");
  return {
    description: root,
    list: async () => (await files.listDir(root)).filter((e) => e.kind !== "directory").map((e) => e.name),
    open: async (name) => {
      const path = `${root}/${name}`;
      const file = await files.openFile(path);
      const known = await files.stat?.(path).catch(async (error: unknown) => {
        await file.close?.();
        throw error;
      });
      return {
        ...(known === undefined ? {} : { identity: `${path} ${known.size} ${known.modified}` }),
        name: path,
        size: file.size,
        read: (into, position) => file.read(into, position),
        close: () => file.close(),
      };
    },
  };
}

/** Files by name in memory or in blobs; the bytes are not copied. Opening throws FoveaError `bad_source` for anything else. */
export function memoryFiles(files: ReadonlyMap<string, Uint8Array | Blob>, description = "memory"): CheckpointFiles {
  return {
    description,
    list: async () => [...files.keys()].sort(),
    open: async (name) => {
      const bytes = files.get(name);
      if (bytes instanceof Blob) return blobSource(name, bytes);
      if (bytes instanceof Uint8Array) return memorySource(name, bytes);
      if (bytes !== undefined) {
        const found = Object(bytes).constructor?.name;
        throw new FoveaError(
          "bad_source",
          `${description} has "${name}" as ${found}; expected a Uint8Array or a Blob.`,
        );
      }
      throw new FoveaError("file.not_found", `${description} has no file "${name}".`);
    },
  };
}
