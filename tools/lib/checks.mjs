// The checks of `npm test` besides the tests: `{ name, run }`, where run resolves to the problems found (none: passed).
import { relative, sep } from "node:path";
import { buildDist, checkTypes } from "../build.mjs";
import { browserCheck } from "../check_browser.mjs";
import { edgeCheck } from "../check_edge.mjs";
import { explainCheck } from "../check_explain.mjs";
import { checkImports, longFiles, selfTest } from "../check_imports.mjs";
import { packageChecks } from "../check_package.mjs";
import { templateChecks } from "../check_templates.mjs";
import { capture, toolCommand } from "./process.mjs";
import { ROOT, readJson } from "./project.mjs";

/**
 * Two lists that run side by side, each in its order: the sources, and what is made of them. `generated` are the problems that
 * were found before setup refreshed the generated sources; with `more` also what needs a browser, a compiler, a driver, or
 * Cloudflare's tools.
 */
export function projectChecks(generated, more) {
  const sources = [
    { name: "generated digests", run: async () => generated },
    { name: "types", run: () => types("tsconfig.json") },
    { name: "types of the Bun host", run: () => types("tsconfig.bun.json") },
    { name: "types as Deno sees them", run: () => succeeds("deno", ["check", "runtime/host/deno.ts", ...published()]) },
    { name: "style", run: () => succeeds("biome", ["check", "--error-on-warnings", "--reporter=concise", "."]) },
    { name: "import rule", run: async () => checkImports(), notes: longFiles },
    { name: "import rule catches planted violations", run: async () => selfTest() },
    // Its types are those checked above; slow types are found all the same.
    {
      name: "deno publish --dry-run",
      run: () => succeeds("deno", ["publish", "--dry-run", "--allow-dirty", "--no-check"]),
    },
    { name: "documentation of what is exported", run: undocumented },
  ];
  const built = { name: "build of dist", run: () => buildDist().then(() => [], reason) };
  const heavy = more ? [...templateChecks(), explainCheck(), browserCheck(), edgeCheck()] : [];
  return [sources, [built, ...packageChecks(), ...heavy]];
}

/** Modules that Deno's registry offers. */
function published() {
  return Object.values(readJson("deno.json").exports);
}

async function types(project) {
  const { code, output } = await checkTypes(project);
  return code === 0 ? [] : [output.trimEnd()];
}

async function succeeds(tool, args) {
  const { code, output } = await capture([...toolCommand(tool), ...args]);
  return code === 0 ? [] : [`${tool} ${args.join(" ")} ended with code ${code}:\n${output.trimEnd()}`];
}

/** Exported names without a doc comment, and public types that refer to types which callers cannot name. */
async function undocumented() {
  const args = ["doc", "--lint", ...published()];
  const { code, output } = await capture([...toolCommand("deno"), ...args]);
  const findings = output.split(/^(?=error\[)/m).filter((part) => part.startsWith("error["));
  if (code !== 0 && findings.length === 0)
    return [`deno ${args.join(" ")} ended with code ${code}:\n${output.trimEnd()}`];
  // Types of packages, such as hono's application, are documented where they come from.
  return findings.filter((finding) => !/--> .*\bnode_modules\b/.test(finding)).map(findingText);
}

/** `runtime/session/options.ts:31:3: exported symbol is missing JSDoc documentation: readonly phase: string;` */
function findingText(finding) {
  const [, message = ""] = /^error\[.*?\]: (.*)$/m.exec(finding) ?? [];
  const [, place = "somewhere"] = /--> (.*)$/m.exec(finding) ?? [];
  const [, source = ""] = /^\s*\d+ \|(.*)$/m.exec(finding) ?? [];
  return `${relative(ROOT, place).replaceAll(sep, "/")}: ${message}: ${source.trim()}`;
}

function reason(error) {
  return [error.message];
}
