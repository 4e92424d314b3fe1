// The command line from a checkout: `bun run --silent fovea` runs the sources on Bun, `npm run -s fovea --` runs dist on Node
// and builds it first when stale. (`deno task -q fovea` starts Deno itself, see deno.json.) Arguments and exit code pass as is.
import { pathToFileURL } from "node:url";
import { buildDist } from "./build.mjs";
import { passThrough } from "./lib/process.mjs";
import { at, say } from "./lib/project.mjs";
import { setupOrExit } from "./setup.mjs";

const args = process.argv.slice(2);
await setupOrExit();

if ((process.env.npm_config_user_agent ?? "").startsWith("bun/")) {
  const bun = process.env.npm_execpath ?? "bun";
  process.exitCode = await passThrough([bun, at("runtime/cli/main.ts"), ...args]);
} else {
  try {
    await buildDist();
  } catch (error) {
    say(`fovea: ${error.message}`);
    process.exit(1);
  }
  const main = at("dist/cli/main.js");
  process.argv = [process.execPath, main, ...args];
  await import(pathToFileURL(main).href);
}
