// Takes comments and indentation out of compiled modules: `bun tools/shorten_dist.mjs FOLDER`. The package brings the sources and
// declarations, which keep them. Plugins are left alone: messages name lines of encoders. Runs on Bun alone, by tools/build.mjs.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOMS = ["runtime", "kernels"];

const transpiler = new Bun.Transpiler({ loader: "js", target: "node", minifyWhitespace: true });

for (const room of ROOMS) {
  const folder = join(process.argv[2], room);
  for (const name of readdirSync(folder, { recursive: true })) {
    if (!name.endsWith(".js")) continue;
    const path = join(folder, name);
    writeFileSync(path, transpiler.transformSync(readFileSync(path, "utf8")));
  }
}
