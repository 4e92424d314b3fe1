/** Writes test/goldens anew from every `test/.../*_goldens.ts`; started by `npm run goldens`, which is for wanted changes. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const TESTS = fileURLToPath(new URL("../test/", import.meta.url));

for (const file of readdirSync(TESTS, { recursive: true, encoding: "utf8" }).sort()) {
  if (!file.endsWith("_goldens.ts")) continue;
  const module = (await import(pathToFileURL(join(TESTS, file)).href)) as {
    goldens(): Promise<Record<string, string>>;
  };
  for (const [name, text] of Object.entries(await module.goldens())) {
    mkdirSync(join(TESTS, "goldens"), { recursive: true });
    writeFileSync(join(TESTS, "goldens", name), text);
    console.error(`wrote test/goldens/${name}`);
  }
}
