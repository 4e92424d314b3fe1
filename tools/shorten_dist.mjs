// Takes comments out of compiled modules, and indentation out of those whose lines nobody is told of: `bun tools/shorten_dist.mjs
// FOLDER`. Declarations keep them; messages name lines of encoders. Runs on Bun alone, by
// tools/build.mjs.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Whether lines go as well. */
const ROOMS = { runtime: true, kernels: true, plugins: false, "test/kit": true };

for (const [room, minifyWhitespace] of Object.entries(ROOMS)) {
  const transpiler = new Bun.Transpiler({ loader: "js", target: "node", minifyWhitespace });
  const folder = join(process.argv[2], room);
  for (const name of readdirSync(folder, { recursive: true })) {
    if (!name.endsWith(".js")) continue;
    const path = join(folder, name);
    writeFileSync(path, transpiler.transformSync(readFileSync(path, "utf8")));
  }
}
