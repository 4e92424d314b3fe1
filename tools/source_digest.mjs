// Writes the digests that requests for artifacts contain: of the compiler's sources and of each kernel plugin's.
// `--check` only compares and fails when one is stale.
import { existsSync } from "node:fs";
import { at, digestOf, isMain, listFiles, listFolders, readText, say, writeAtomic } from "./lib/project.mjs";

const COMPILER_PARTS = ["runtime/core", "runtime/ir", "runtime/compile", "runtime/abi"];

/** Generated files with their contents as the sources stand: `[{ file, text }]`. */
function expectedDigests() {
  const groups = [{ file: "runtime/compile/source_digest.ts", folders: COMPILER_PARTS, what: "the compiler" }];
  for (const name of listFolders("kernels")) {
    groups.push({ file: `kernels/${name}/source_digest.ts`, folders: [`kernels/${name}`], what: `kernels/${name}` });
  }
  return groups.flatMap(({ file, folders, what }) => {
    const sources = folders.flatMap((folder) => listFiles(folder, ".ts")).filter((path) => !isGenerated(path));
    return sources.length === 0 ? [] : [{ file, text: render(what, digestOf(sources)) }];
  });
}

function isGenerated(path) {
  return path.endsWith("/source_digest.ts");
}

function render(what, digest) {
  return [
    `/** SHA-256 of the sources of ${what}; written by \`npm run build\`, part of every request digest. */`,
    `export const SOURCE_DIGEST: string = "${digest}";`,
    "",
  ].join("\n");
}

function staleDigests() {
  return expectedDigests().filter(
    ({ file, text }) => !existsSync(at(file)) || readText(file).replaceAll("\r\n", "\n") !== text,
  );
}

/** Rewrites the generated files that do not match their sources. */
export function refreshSourceDigests() {
  for (const { file, text } of staleDigests()) writeAtomic(at(file), text);
}

/** One sentence for each generated file that does not match its sources. */
export function checkSourceDigests() {
  return staleDigests().map(({ file }) => `${file} does not match its sources: run \`npm run build\` and commit it.`);
}

if (isMain(import.meta.url)) {
  if (process.argv.includes("--check")) {
    const problems = checkSourceDigests();
    for (const problem of problems) say(problem);
    process.exitCode = problems.length > 0 ? 1 : 0;
  } else {
    refreshSourceDigests();
  }
}
