// The code of frozen folders: `bun tools/edge_bundle.mjs FOLDER` writes encoder.js, app.js (the routes of the server, for those who
// ask for them), a file for each encoder family and each format, the chunks that they share, types, and files.json, which says what belongs together and which modules are inside. The folder
// `own` below it has the same for encoders of others: instead of families, what they may import of the package. Runs on Bun alone,
// by tools/build.mjs. The compiler, code emitters, workers and modules of Node's must not be reached.
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { at } from "./lib/project.mjs";

/** What encoders of others may import of the package, by subpath. */
const LIBRARIES = { abi: "runtime/abi/mod.ts", core: "runtime/core/mod.ts", nn: "runtime/nn/mod.ts" };

const FORMATS = ["png", "jpeg", "webp", "gif", "wav"];

/** WebAssembly of a format's codec, by its package. */
const CODECS = {
  jpeg: ["@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm"],
  webp: ["@jsquash/webp/codec/dec/webp_dec.wasm"],
};

/** Rooms whose modules would make code, or need what edges do not have; the server's belong to app.js alone. */
const FORBIDDEN =
  /^(runtime\/(compile|ir|host|hub|foreign|server|cli|explain|freeze)\/|kernels\/(?!wasm\/(edge\.ts|device\/))|kernels\/wasm\/device\/(pool_|probe))/;

const SERVER = /^runtime\/server\//;

const REFUSALS = {
  name: "refusals",
  setup(build) {
    build.onResolve({ filter: /^(node|bun):/ }, ({ path, importer }) => {
      throw new Error(`${importer} imports ${path}, which edges do not have`);
    });
  },
};

/** `{ name, key, plugin }` of each family: its folder, what exports the plugin, and the plugin's own name. */
async function families() {
  const found = [];
  for (const name of readdirSync(at("plugins")).sort()) {
    const exported = Object.entries(await import(at(`plugins/${name}/plugin.ts`)));
    const [key, plugin] = exported.find(([, value]) => value?.encoders?.length > 0);
    found.push({ name, key, plugin: plugin.name });
  }
  return found;
}

/** Files that a file needs: itself and what it imports, sooner or later. */
function closure(outputs, file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  for (const { path } of outputs.get(file).imports) closure(outputs, basename(path), found);
  return found;
}

const exportAll = (path) => `export * from ${JSON.stringify(at(path))};`;

async function write(folder) {
  const all = await families();
  const shared = [
    ["encoder", exportAll("runtime/edge/mod.ts")],
    ["app", exportAll("runtime/server/frozen_app.ts")],
  ];
  const formats = FORMATS.map((name) => [name, exportAll(`runtime/edge/formats/${name}.ts`)]);
  const own = all.map(({ name, key }) => [
    name,
    `export { ${key} as plugin } from ${JSON.stringify(at(`plugins/${name}/plugin.ts`))};`,
  ]);
  await bundle([...shared, ...own, ...formats], folder, (files) => ({
    families: Object.fromEntries(all.map(({ name, plugin }) => [plugin, { entry: `${name}.js`, files: files(name) }])),
  }));
  const libraries = Object.entries(LIBRARIES);
  await bundle(
    [...shared, ...libraries.map(([name, path]) => [name, exportAll(path)]), ...formats],
    join(folder, "own"),
    (files) => ({
      libraries: Object.fromEntries(
        libraries.map(([name]) => [`fovea/${name}`, { entry: `${name}.js`, files: files(name) }]),
      ),
    }),
  );
  copyFileSync(at("runtime/edge/api.ts"), join(folder, "encoder_types.ts"));
  writeFileSync(join(folder, "app_types.ts"), appTypes());
}

/** Types of app.js, which lies in `lib/` of a frozen folder. */
function appTypes() {
  const source = readFileSync(at("runtime/server/frozen_api.ts"), "utf8");
  const types = source.replace('"../edge/api.ts"', '"../hosts/host.d.ts"');
  if (types === source) throw new Error("runtime/server/frozen_api.ts does not import ../edge/api.ts any more");
  return types;
}

/** Bundles entries, `[name, text]`, into a folder. */
async function bundle(entries, folder, describe) {
  const sources = mkdtempSync(at(".build/edge_"));
  try {
    for (const [name, text] of entries) writeFileSync(join(sources, `${name}.ts`), text);
    await bundleFiles(
      entries.map(([name]) => join(sources, `${name}.ts`)),
      folder,
      describe,
    );
  } finally {
    rmSync(sources, { recursive: true, force: true });
  }
}

async function bundleFiles(entrypoints, folder, describe) {
  const { success, outputs, logs, metafile } = await Bun.build({
    entrypoints,
    ...{ target: "browser", format: "esm", minify: true, splitting: true, metafile: true },
    naming: { entry: "[name].[ext]", chunk: "chunk-[hash].[ext]" },
    plugins: [REFUSALS],
  });
  if (!success) throw new Error(logs.map(String).join("\n"));
  mkdirSync(folder, { recursive: true });
  for (const file of outputs) {
    const name = basename(file.path);
    const text = await file.text();
    writeFileSync(join(folder, name), name === "app.js" ? `// @ts-self-types="./app.d.ts"\n${text}` : text);
  }
  const known = new Map(Object.entries(metafile.outputs).map(([path, output]) => [basename(path), output]));
  const modules = Object.fromEntries(
    [...known].map(([file, { inputs }]) => [
      file,
      Object.keys(inputs)
        .filter((path) => !path.startsWith(".build/"))
        .sort(),
    ]),
  );
  const files = (name) => [...closure(known, `${name}.js`)].sort();
  const ofEncoder = new Set(
    entrypoints
      .map((path) => basename(path, ".ts"))
      .filter((n) => n !== "app")
      .flatMap(files),
  );
  const wrong = Object.entries(modules).flatMap(([file, paths]) =>
    paths.filter((path) => FORBIDDEN.test(path) && (ofEncoder.has(file) || !SERVER.test(path))),
  );
  if (wrong.length > 0) throw new Error(`the code of frozen folders reaches ${[...new Set(wrong)].join(", ")}`);
  const description = {
    encoder: files("encoder"),
    app: files("app"),
    ...describe(files),
    formats: Object.fromEntries(FORMATS.map((name) => [name, { files: files(name), wasm: CODECS[name] ?? [] }])),
    modules,
  };
  writeFileSync(join(folder, "files.json"), `${JSON.stringify(description)}\n`);
}

await write(process.argv[2]);
