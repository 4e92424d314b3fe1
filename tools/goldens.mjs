// `npm run goldens [-- --because "…"]`: writes the golden files anew. Look at the difference before you commit it.
import { passThrough, toolCommand } from "./lib/process.mjs";
import { at } from "./lib/project.mjs";
import { setupOrExit } from "./setup.mjs";

await setupOrExit();
process.exitCode = await passThrough([...toolCommand("bun"), at("tools/write_goldens.ts"), ...process.argv.slice(2)]);
