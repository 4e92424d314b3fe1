/** The files of a model as pages are given them: `File` objects of a chosen or dropped folder, folder handles. */
import { FoveaError } from "../../core/diagnostics.ts";
import { blobSource } from "./byte_source.ts";
import { type CheckpointFiles, memoryFiles } from "./checkpoint_files.ts";

/** A `File`, of which a folder's have their path in `webkitRelativePath`. */
export interface GivenFile extends Blob {
  /** Its name in its folder. */
  readonly name: string;
  /** Its path from the folder that was chosen, that one included; empty for single files. */
  readonly webkitRelativePath?: string;
}

/** What `<input type="file" webkitdirectory>` has, or any other list of `File` objects. */
export interface GivenFiles {
  /** In any order; the first folder that holds a `config.json` is the model's. */
  readonly files: Iterable<GivenFile> | ArrayLike<GivenFile>;
}

/** The Web's `FileSystemDirectoryHandle`, as far as it is used. */
export interface FolderHandle {
  /** What tells it from a file's handle. */
  readonly kind: "directory";
  /** For messages. */
  readonly name: string;
  /** What is in it. */
  values(): AsyncIterable<{ readonly kind: "file" | "directory"; readonly name: string }>;
  /** A file in it; rejects with a `NotFoundError` where there is none. */
  getFileHandle(name: string): Promise<{ getFile(): Promise<Blob> }>;
  /** A folder in it; rejects as {@link getFileHandle}. */
  getDirectoryHandle(name: string): Promise<FolderHandle>;
}

/** The path of a file from the folder that holds `config.json`, or else from the one that was chosen. */
function relativePaths(paths: readonly string[]): readonly string[] {
  const configs = paths.filter((path) => /(^|\/)config\.json$/.test(path));
  // A model may hold one more below itself, such as `1_Pooling/config.json`.
  const [root = ""] = configs.map((path) => path.slice(0, -"config.json".length)).sort((a, b) => a.length - b.length);
  return paths.map((path) => (path.startsWith(root) ? path.slice(root.length) : path));
}

/** Files of a list. The first folder that holds a `config.json` is the model's. @throws FoveaError `bad_source` */
export function givenFiles(list: GivenFiles["files"]): CheckpointFiles {
  if (typeof list !== "object" || list === null) {
    throw new FoveaError("bad_source", `\`files\` must be a list of File objects; found ${String(list)}.`);
  }
  const files = Array.from(list);
  const strange = files.findIndex((file) => !(file instanceof Blob) || typeof file.name !== "string");
  if (strange >= 0) {
    throw new FoveaError("bad_source", `\`files\` holds something else than File objects at place ${strange}.`);
  }
  const names = relativePaths(files.map(({ name, webkitRelativePath: path }) => (path ? path : name)));
  return memoryFiles(new Map(files.map((file, i) => [names[i], file])), "the list of files");
}

/** Files of a folder that a page was given. */
export function handleFiles(folder: FolderHandle): CheckpointFiles {
  const description = `the folder ${folder.name}`;
  return {
    description,
    list: async () => {
      const names: string[] = [];
      for await (const entry of folder.values()) if (entry.kind === "file") names.push(entry.name);
      return names.sort();
    },
    open: async (name) => {
      const [file, ...above] = name.split("/").reverse();
      try {
        let holder = folder;
        for (const part of above.reverse()) holder = await holder.getDirectoryHandle(part);
        return blobSource(name, await (await holder.getFileHandle(file)).getFile());
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        const absent = cause instanceof Error && /^(NotFoundError|TypeMismatchError)$/.test(cause.name);
        throw new FoveaError(
          absent ? "file.not_found" : "file.denied",
          `${name} of ${description} cannot be opened: ${why.replace(/\.$/, "")}.`,
          { cause },
        );
      }
    },
  };
}
