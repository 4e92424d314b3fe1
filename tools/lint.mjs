// Style and import rules; `--write` (npm run format) also applies the formatter and the safe fixes.
import { checkImports } from "./check_imports.mjs";
import { passThrough, toolCommand } from "./lib/process.mjs";
import { ROOT, say } from "./lib/project.mjs";
import { setupOrExit } from "./setup.mjs";

await setupOrExit();
const write = process.argv.includes("--write") ? ["--write"] : [];
const code = await passThrough([...toolCommand("biome"), "check", "--error-on-warnings", ...write, "."], { cwd: ROOT });
const problems = checkImports();
for (const problem of problems) say(problem);
process.exitCode = code !== 0 || problems.length > 0 ? 1 : 0;
