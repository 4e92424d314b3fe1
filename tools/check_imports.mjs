// The import rule and its neighbours: who may import whom, runtime globals, exact arithmetic, names, `.ts` endings. The rules
// are in lib/import_rules.mjs. `--self-test` proves instead that a planted violation of each kind is caught.

import { IMPORT_CASES } from "./lib/import_cases.mjs";
import { checkSource, isSource, LONG_FILE } from "./lib/import_rules.mjs";
import { isMain, listFiles, readText, say } from "./lib/project.mjs";

const ROOTS = ["mod.ts", "runtime", "kernels", "plugins", "test", "examples", "bench"];
const DATA = /^(test\/(fixtures|goldens)|examples\/(models|images))\//;

function sourceFiles() {
  return ROOTS.flatMap((root) => listFiles(root, ".ts")).filter((file) => !DATA.test(file));
}

/** Every broken rule as a sentence that begins with `path:line:`. */
export function checkImports() {
  return sourceFiles().flatMap((file) => checkSource(file, readText(file)));
}

/** Sources over 400 lines: worth a look, not an error. */
export function longFiles() {
  return sourceFiles()
    .filter(isSource)
    .map((file) => ({ file, lines: readText(file).split("\n").length - 1 }))
    .filter(({ lines }) => lines > LONG_FILE)
    .map(({ file, lines }) => `${file} has ${lines} lines (over ${LONG_FILE}): it may be two concepts.`);
}

/** Plants each kind of violation and, beside it, the nearest thing that is allowed; returns what was judged wrongly. */
export function selfTest() {
  return IMPORT_CASES.flatMap(({ file, source, finds }) => {
    const found = checkSource(file, source);
    if (finds === undefined) return found.map((problem) => `reported but allowed: ${problem}`);
    const caught = found.length === 1 && found[0].includes(finds);
    return caught ? [] : [`expected "${finds}" alone in ${file}, found ${JSON.stringify(found)}: ${source}`];
  });
}

if (isMain(import.meta.url)) {
  const testing = process.argv.includes("--self-test");
  const problems = testing ? selfTest() : checkImports();
  for (const problem of problems) say(problem);
  if (!testing) for (const note of longFiles()) say(`note: ${note}`);
  else if (problems.length === 0) say(`all ${IMPORT_CASES.length} planted cases are judged rightly`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
