/** File functions on `node:fs`, shared by Node and Bun. */
import { constants, readFileSync, readSync, statSync } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { withFileErrors } from "./file_error.ts";
import type { EntryKind, Host, OpenFile, WritableFile } from "./host.ts";
import { temporaryName } from "./temporary_name.ts";

export type NodeFiles = Pick<
  Host,
  | "readFile"
  | "openFile"
  | "listDir"
  | "stat"
  | "writeFileAtomic"
  | "openForWriting"
  | "rename"
  | "remove"
  | "mkdir"
  | "pathOf"
>;

const kindOf = (entry: { isFile(): boolean; isDirectory(): boolean }): EntryKind =>
  entry.isFile() ? "file" : entry.isDirectory() ? "directory" : "other";

/** Node's own `recursive` never returns where the system says of a folder inside an existing one that it is not found. */
async function makeFolder(path: string, withParents: boolean): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const above = dirname(path);
    if ((error as { code?: string }).code === "ENOENT" && withParents && above !== path) {
      await makeFolder(above, true);
      return makeFolder(path, false);
    }
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory() !== true) throw error;
  }
}

/** Bytes up to which waiting for a file takes less than asking another thread for it: a cache is some hundred of such files. */
const SMALL = 1 << 18;

const readWhole = (path: string): Promise<Uint8Array> =>
  withFileErrors("read", path, async () => (statSync(path).size <= SMALL ? readFileSync(path) : readFile(path)));

async function openFile(path: string): Promise<OpenFile> {
  const file = await open(path, "r");
  try {
    const found = await file.stat();
    if (found.isDirectory()) throw Object.assign(new Error("is a folder"), { code: "EISDIR" });
    return {
      size: found.size,
      read: (into, position) => readAt(file, path, into, position),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Fills `into` from a position, as far as the file goes. */
function readAt(file: FileHandle, path: string, into: Uint8Array, position: number): Promise<number> {
  return withFileErrors("read", path, async () => {
    let done = 0;
    while (done < into.length) {
      const missing = into.length - done;
      const bytesRead =
        missing <= SMALL
          ? readSync(file.fd, into, done, missing, position + done)
          : (await file.read(into, done, missing, position + done)).bytesRead;
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  });
}

async function openForWriting(path: string): Promise<WritableFile> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT);
  const { size } = await file.stat().catch(async (error: unknown) => {
    await file.close();
    throw error;
  });
  return {
    size,
    read: (into, position) => readAt(file, path, into, position),
    write: (bytes, position) =>
      withFileErrors("write", path, async () => {
        for (let done = 0; done < bytes.length; ) {
          done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
        }
      }),
    sync: () => withFileErrors("write", path, () => file.datasync()),
    close: () => file.close(),
  };
}

export const NODE_FILES: NodeFiles = {
  readFile: readWhole,
  openFile: (path) => withFileErrors("open", path, () => openFile(path)),
  listDir: (path) =>
    withFileErrors("list", path, async () => {
      const entries = await readdir(path, { withFileTypes: true });
      return entries
        .map((entry) => ({ name: entry.name, kind: kindOf(entry) }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    }),
  stat: (path) =>
    withFileErrors("read", path, async () => {
      const found = await stat(path);
      return { kind: kindOf(found), size: found.size, modified: found.mtimeMs };
    }),
  writeFileAtomic: (path, bytes) =>
    withFileErrors("write", path, async () => {
      const temporary = temporaryName(path);
      try {
        await writeFile(temporary, bytes, { flag: "wx" });
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => undefined);
        throw error;
      }
    }),
  openForWriting: (path) => withFileErrors("write", path, () => openForWriting(path)),
  rename: (from, to) => withFileErrors("write", to, () => rename(from, to)),
  remove: (path) => withFileErrors("delete", path, () => rm(path, { force: true })),
  mkdir: (path) => withFileErrors("create", path, () => makeFolder(path, true)),
  pathOf: (url) => fileURLToPath(url),
};
