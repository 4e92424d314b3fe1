// `npm run example:browser`: builds what is stale, then serves the page of examples/browser.
import { buildDist } from "./build.mjs";
import { passThrough, toolCommand } from "./lib/process.mjs";
import { at } from "./lib/project.mjs";
import { setupOrExit } from "./setup.mjs";

await setupOrExit();
await buildDist();
const serve = at("examples/browser/serve.mjs");
process.exitCode = await passThrough([...toolCommand("node"), serve, ...process.argv.slice(2)]);
