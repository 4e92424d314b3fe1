// Where the project is, what it consists of, and small file helpers that the tools share.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Folders (or single files) that hold the sources of the published package. */
export const SOURCE_ROOTS = ["mod.ts", "runtime", "kernels", "plugins", "test/kit"];

/** Absolute path of `path`, given relative to the root of the project. */
export function at(path) {
  return join(ROOT, path);
}

export function readText(path) {
  return readFileSync(at(path), "utf8");
}

export function readJson(path) {
  return JSON.parse(readText(path));
}

/**
 * Files below `path` (or `path` itself) that end in `suffix`, relative to the root, with forward slashes, sorted; installed
 * packages are left out.
 */
export function listFiles(path, suffix) {
  if (!existsSync(at(path))) return [];
  if (path.endsWith(suffix)) return [path];
  return filesBelow(at(path))
    .filter((file) => file.endsWith(suffix))
    .map((file) => join(path, file).replaceAll(sep, "/"))
    .filter((file) => !file.includes("node_modules/"))
    .sort();
}

/**
 * Plain files below a folder, relative to it. Links are neither followed nor listed: recursive `readdir` of Node 24 lists what
 * lies behind them, and a builder that removes what it did not make would remove that.
 */
export function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return filesBelow(join(folder, entry.name)).map((file) => join(entry.name, file));
    return entry.isFile() ? [entry.name] : [];
  });
}

/** Names of the folders directly below `path`, sorted. */
export function listFolders(path) {
  if (!existsSync(at(path))) return [];
  return readdirSync(at(path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** SHA-256 over names and contents; line endings do not count. */
export function digestOf(files) {
  const hash = createHash("sha256");
  for (const file of files) {
    const text = readText(file).replaceAll("\r\n", "\n");
    hash.update(`${file}\0${Buffer.byteLength(text)}\0${text}`);
  }
  return hash.digest("hex");
}

/** Replaces a file in one step, so that a program that reads it at the same time sees the old or the new one. */
export function writeAtomic(path, data) {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, data);
  renameSync(temporary, path);
}

/** True when the module with this URL is the program that was started. */
export function isMain(url) {
  return process.argv[1] !== undefined && pathToFileURL(process.argv[1]).href === url;
}

/** Tools speak to people on stderr only; stdout belongs to the program that they start. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}
