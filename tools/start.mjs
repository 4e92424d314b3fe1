// `npm start`: installs what is missing, then classifies the bundled digits with the bundled model, on Bun.
import { existsSync } from "node:fs";
import { passThrough, toolCommand } from "./lib/process.mjs";
import { at, say } from "./lib/project.mjs";
import { setupOrExit } from "./setup.mjs";

const EXAMPLE = at("examples/classify_digits.ts");

if (!existsSync(EXAMPLE)) {
  say(`fovea: ${EXAMPLE} is missing; restore it from the repository and start again.`);
  process.exit(1);
}
await setupOrExit();
process.exitCode = await passThrough([...toolCommand("bun"), EXAMPLE, ...process.argv.slice(2)]);
