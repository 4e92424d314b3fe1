/**
 * Writes test/goldens anew from every `test/.../*_goldens.ts`; started by `npm run goldens`, which is for wanted changes.
 * `--because "…"` says why artifacts of the replay corpus change; without it such a change is refused.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const TESTS = fileURLToPath(new URL("../test/", import.meta.url));
const { because } = parseArgs({ options: { because: { type: "string" } } }).values;

for (const file of readdirSync(TESTS, { recursive: true, encoding: "utf8" }).sort()) {
  if (!file.endsWith("_goldens.ts")) continue;
  const module = (await import(pathToFileURL(join(TESTS, file)).href)) as {
    goldens(because?: string): Promise<Record<string, string | Uint8Array>>;
  };
  try {
    for (const [name, content] of Object.entries(await module.goldens(because))) {
      mkdirSync(join(TESTS, "goldens"), { recursive: true });
      writeFileSync(join(TESTS, "goldens", name), content);
      console.error(`wrote test/goldens/${name}`);
    }
  } catch (error) {
    console.error(`test/${file}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
