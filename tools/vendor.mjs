// Bundles what fovea uses of packages that are too large to be dependencies into dist/vendor: the imports with
// a # in package.json.
import { existsSync, readFileSync } from "node:fs";
import { capture, toolCommand } from "./lib/process.mjs";
import { at, isMain, readJson, readText, say, writeAtomic } from "./lib/project.mjs";

const HUB = "node_modules/@huggingface/hub";
const DAGRE = "node_modules/@dagrejs";

/** What is bundled, and of each work whose code is in a bundle the file that holds its licence. */
const BUNDLES = [
  {
    file: "dist/vendor/hub.js",
    entry: "tools/vendor/hub.ts",
    name: "@huggingface/hub",
    note: "minified, without its parts for uploads",
    licences: [
      ["@huggingface/hub", `${HUB}/LICENSE`],
      ["lz4js (in @huggingface/hub)", `${HUB}/src/vendor/lz4js/LICENSE`],
    ],
  },
  {
    file: "dist/vendor/layout.js",
    entry: "tools/vendor/layout.ts",
    name: "@dagrejs/dagre",
    note: "minified",
    licences: [
      ["@dagrejs/dagre", `${DAGRE}/dagre/LICENSE`],
      ["@dagrejs/graphlib", `${DAGRE}/graphlib/LICENSE`],
    ],
  },
  {
    file: "dist/vendor/metrics.js",
    entry: "tools/vendor/metrics.ts",
    name: "prom-client",
    note: "minified, without metrics of the process, for edges too",
    target: "browser",
    licences: [["prom-client", "node_modules/prom-client/LICENSE"]],
  },
  {
    file: "dist/vendor/parquet_reader.js",
    entry: "tools/vendor/parquet_reader.ts",
    name: "hyparquet",
    note: "minified",
    licences: [["hyparquet", "node_modules/hyparquet/LICENSE"]],
  },
  {
    file: "dist/vendor/parquet_writer.js",
    entry: "tools/vendor/parquet_writer.ts",
    name: "hyparquet-writer",
    note: "minified",
    licences: [
      ["hyparquet-writer", "node_modules/hyparquet-writer/LICENSE"],
      ["hyparquet", "node_modules/hyparquet/LICENSE"],
    ],
  },
  {
    file: "dist/vendor/glob.js",
    entry: "tools/vendor/glob.ts",
    name: "picomatch",
    note: "minified",
    licences: [["picomatch", "node_modules/picomatch/LICENSE"]],
  },
];

const versionOf = (name) => readJson("package.json").devDependencies[name];

/** The first line tells the version that was bundled. */
const headLine = ({ name, note }) => `// ${name} ${versionOf(name)}, ${note}. Licences below.`;

/** Bundles again when the pinned version is another one, or when there is no bundle. */
async function refresh(bundle) {
  const { file, entry, name, licences, target = "node" } = bundle;
  const head = headLine(bundle);
  if (existsSync(at(file)) && readFileSync(at(file), "utf8").startsWith(`${head}\n`)) return;
  const command = [...toolCommand("bun"), "build", at(entry), `--target=${target}`, "--format=esm", "--minify"];
  const { code, stdout, output } = await capture(command, { cwd: at(".") });
  if (code !== 0) throw new Error(`bundling ${name} ended with code ${code}:\n${output.trimEnd()}`);
  const notices = licences.map(([work, path]) => `${work}\n\n${readText(path).trim()}`.replaceAll("*/", "* /"));
  writeAtomic(at(file), `${head}\n/*!\n${notices.join("\n\n----\n\n")}\n*/\n${stdout}`);
}

export async function refreshVendor() {
  for (const bundle of BUNDLES) await refresh(bundle);
}

if (isMain(import.meta.url)) {
  await refreshVendor();
  for (const { file, name } of BUNDLES) say(`${file} holds ${versionOf(name)} of ${name}`);
}
