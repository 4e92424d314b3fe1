// Bundles what fovea uses of packages that are too large to be dependencies into dist/vendor: `#hub` in package.json.
import { existsSync, readFileSync } from "node:fs";
import { capture, toolCommand } from "./lib/process.mjs";
import { at, isMain, readJson, readText, say, writeAtomic } from "./lib/project.mjs";

const BUNDLE = "dist/vendor/hub.js";
const ENTRY = "tools/vendor/hub.ts";
const PACKAGE = "node_modules/@huggingface/hub";

/** Works whose code is in the bundle, and the file that holds each one's licence. */
const LICENCES = [
  ["@huggingface/hub", `${PACKAGE}/LICENSE`],
  ["lz4js (in @huggingface/hub)", `${PACKAGE}/src/vendor/lz4js/LICENSE`],
];

/** The first line tells the version that was bundled and the entry that chose its parts. */
function headLine() {
  return `// ${PACKAGE.replace("node_modules/", "")} ${readJson("package.json").devDependencies["@huggingface/hub"]}, bundled without its parts for uploads. Licences below.`;
}

/** Bundles again when the pinned version is another one, or when there is no bundle. */
export async function refreshVendor() {
  const head = headLine();
  if (existsSync(at(BUNDLE)) && readFileSync(at(BUNDLE), "utf8").startsWith(`${head}\n`)) return;
  const command = [...toolCommand("bun"), "build", at(ENTRY), "--target=node", "--format=esm"];
  const { code, stdout, output } = await capture(command, { cwd: at(".") });
  if (code !== 0) throw new Error(`bundling ${PACKAGE} ended with code ${code}:\n${output.trimEnd()}`);
  const notices = LICENCES.map(([name, file]) => `${name}\n\n${readText(file).trim()}`.replaceAll("*/", "* /"));
  writeAtomic(at(BUNDLE), `${head}\n/*!\n${notices.join("\n\n----\n\n")}\n*/\n${stdout}`);
}

if (isMain(import.meta.url)) {
  await refreshVendor();
  say(`${BUNDLE} holds ${readJson("package.json").devDependencies["@huggingface/hub"]} of @huggingface/hub`);
}
