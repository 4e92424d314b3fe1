// The browser's bundle: `bun tools/browser_bundle.mjs FOLDER` writes fovea.js with the chunks that it loads when they are needed,
// the main modules of workers, each whole, and the WASM of the picture codecs. Runs on Bun alone, by tools/build.mjs.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { licencesOf } from "./lib/licences.mjs";
import { at } from "./lib/project.mjs";

/** Workers are files of their own, which bundlers copy without looking inside. */
const WORKERS = [
  ...["runtime/host/browser_worker_entry.ts", "kernels/wasm/device/pool_worker.ts"],
  ...["kernels/wasm/device/isolate_worker.ts", "kernels/webgpu/device/device_worker.ts"],
];

const CODECS = ["@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm", "@jsquash/webp/codec/dec/webp_dec.wasm"];

/** Optional peers, which a page offers by an import map. */
const PEERS = ["@wasm-audio-decoders/*", "mpg123-decoder"];

/** What is bundled of others' work, by the folder of its licence. */
const LICENCES = [
  ...["@audio/decode-wav", "@huggingface/hub", "@huggingface/tokenizers", "@jsquash/jpeg", "@jsquash/webp"],
  ...["fflate", "valibot"],
];

const NO_FREEZING = `
import { FoveaError } from ${JSON.stringify(at("runtime/core/diagnostics.ts"))};
export const freezeModel = async () => {
  throw new FoveaError("not_freezable", "A page cannot freeze a model; run the command fovea freeze on Bun, Deno or Node.");
};
`;

/** The host of browsers takes the place of the choice among hosts, and what is bundled for others is bundled anew. */
const PLACES = {
  name: "places",
  setup(build) {
    build.onResolve({ filter: /\/host\/mod\.ts$/ }, () => ({ path: at("runtime/host/browser_mod.ts") }));
    // Pages have no folders to write into.
    build.onResolve({ filter: /\/freeze\/freeze\.ts$/ }, () => ({ path: "freeze", namespace: "absent" }));
    build.onLoad({ filter: /.*/, namespace: "absent" }, () => ({ contents: NO_FREEZING, loader: "ts" }));
    build.onResolve({ filter: /^#hub$/ }, () => ({ path: at("tools/vendor/hub.ts") }));
    // Bun would bundle its own imitations of them.
    build.onResolve({ filter: /^(node|bun):/ }, ({ path, importer }) => {
      throw new Error(`${importer} imports ${path}, which browsers do not have`);
    });
  },
};

/** Sources are TypeScript in some runtimes and JavaScript in others; bundlers find files by literal addresses alone. */
const LITERALS = {
  name: "literal addresses",
  setup(build) {
    build.onLoad({ filter: /\/(runtime|kernels)\/.*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      const contents = text.replace(/new URL\(`\.\/(\w+)\$\{\w+\}`, import\.meta\.url\)/g, (_, name) => {
        if (WORKERS.some((file) => file.endsWith(`/${name}.ts`))) return `new URL("./${name}.js", import.meta.url)`;
        throw new Error(`${path} starts a worker ${name} that tools/browser_bundle.mjs does not know`);
      });
      return { contents, loader: "ts" };
    });
  },
};

const OPTIONS = { target: "browser", format: "esm", minify: true, external: PEERS, plugins: [PLACES, LITERALS] };

/**
 * Bun has chunks preloaded that others will import, which saves a page round trips. Bundlers give chunks other names, so that
 * only this very file may ask for them.
 */
function preloadingHere({ name, text }) {
  const calls = /[\w$]+\(import\.meta\.url,\[(?="[\w-]+",)/g;
  if (name.endsWith("fovea.js") && text.match(calls)?.length !== 1) throw new Error("fovea.js preloads in another way");
  return text.replace(calls, (call) => `/^https?:.*\\/fovea\\.js$/.test(import.meta.url)&&${call}`);
}

/** Tells bundlers to leave those imports alone that are no files of this bundle. */
const ignoring = (text) =>
  text.replace(/\bimport\((?!"\.)([^()]+)\)/g, (_, what) => {
    const specifier = what.startsWith('"') ? `String(${what})` : what;
    return `import(/* @vite-ignore */ /* webpackIgnore: true */ ${specifier})`;
  });

async function bundle(entrypoints, options) {
  const { success, outputs, logs } = await Bun.build({ ...OPTIONS, entrypoints: entrypoints.map(at), ...options });
  if (!success) throw new Error(logs.map(String).join("\n"));
  return Promise.all(
    outputs.map(async (file) => {
      const text = preloadingHere({ name: file.path, text: await file.text() });
      return { name: file.path, text: ignoring(text) };
    }),
  );
}

async function write(folder) {
  const [main, workers] = await Promise.all([
    bundle(["mod.ts"], { splitting: true, naming: { entry: "fovea.[ext]", chunk: "[name]-[hash].[ext]" } }),
    bundle(WORKERS, { naming: { entry: "[name].[ext]" } }),
  ]);
  mkdirSync(folder, { recursive: true });
  for (const { name, text } of [...main, ...workers]) writeFileSync(join(folder, name), text);
  for (const file of CODECS)
    copyFileSync(at(`node_modules/${file}`), join(folder, file.slice(file.lastIndexOf("/") + 1)));
  writeFileSync(join(folder, "LICENSES.txt"), `${licencesOf(LICENCES)}\n`);
}

await write(process.argv[2]);
