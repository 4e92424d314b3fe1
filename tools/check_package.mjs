// Packs the package as `npm publish` would and proves it from an empty folder outside the repository: contents, size, the
// command line by npx and bunx, programs on each runtime, and the declarations. Each step is one check of `npm test`.
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildDist } from "./build.mjs";
import { copyEncoders, copyFixtures, encoderPlugins, VERIFY_COPIES } from "./lib/encoder_copies.mjs";
import { capture, npmCommand, plainEnvironment, toolCommand } from "./lib/process.mjs";
import { at, isMain, listFiles, ROOT, readJson, SOURCE_ROOTS, say } from "./lib/project.mjs";
import { setupOrExit } from "./setup.mjs";

const MEGABYTE = 1e6;
const INSTALLED_LIMIT = 15 * MEGABYTE;

/** Parts of paths that show that something came along which users do not need. */
const FOREIGN =
  /_test\.|^(?!dist\/test\/kit|test\/kit)(dist\/)?test\/|\/(fixtures|goldens)\/|^(dist\/)?(tools|bench|examples|\.build)\/|\.fingerprint|tsbuildinfo|\.tgz$/;

const QUIET = ["--no-audit", "--no-fund", "--loglevel=error"];

/** The checks in order; they share one packed file and one folder, which goes with the last. */
export function packageChecks() {
  const place = {};
  const steps = [
    ["contents of the package", contents],
    ["installed from the package", installed],
    ["a Node program imports the package", (p) => program(p, [process.execPath])],
    ["a Bun program imports the package", (p) => program(p, toolCommand("bun"))],
    ["a Deno program imports the package", (p) => program(p, [...toolCommand("deno"), "run", "-A"])],
    ["a server from the package answers", serverProgram],
    ["a program writes and reads Parquet, and is told of the packages that queues need", bulkProgram],
    ["a TypeScript program compiles against the package", declarations],
    ["declarations stand without the types of the DOM", withoutDom],
    ["the example of an encoder plugin runs on the package alone", encoderPlugin],
    ["every encoder works from a copy outside the repository", encoderCopies],
    ["npx runs the command line on Node", npx],
    ["the command line, a bundle, names lines of an author's plugin", authorsLine],
    ["bunx --bun runs the command line on Bun", bunx],
  ];
  return steps.map(([name, step], index) => ({
    name,
    run: async () => {
      try {
        place.packed ??= pack(place);
        await place.packed;
        const { problems, notes = [] } = await step(place);
        place.notes = notes;
        return problems;
      } finally {
        if (index === steps.length - 1 && place.folder !== undefined)
          rmSync(place.folder, { recursive: true, force: true });
      }
    },
    notes: () => place.notes?.splice(0) ?? [],
  }));
}

/** Packs into a new temporary folder. The content is in the file's name, since bunx keeps packages by path. */
async function pack(place) {
  await buildDist();
  place.folder = mkdtempSync(join(tmpdir(), "fovea_package_"));
  const command = [...npmCommand(), "pack", "--json", "--ignore-scripts", "--pack-destination", place.folder];
  const { code, stdout, output } = await capture(command, { env: plainEnvironment({ npm_config_loglevel: "error" }) });
  if (code !== 0) throw new Error(`npm pack ended with code ${code}:\n${output.trimEnd()}`);
  const answer = JSON.parse(stdout);
  // npm 12 answers with an object by package name, those before with a list.
  const [packed] = Array.isArray(answer) ? answer : Object.values(answer);
  const written = join(place.folder, packed.filename);
  const digest = createHash("sha256").update(readFileSync(written)).digest("hex").slice(0, 12);
  place.tarball = join(place.folder, packed.filename.replace(/\.tgz$/, `-${digest}.tgz`));
  renameSync(written, place.tarball);
  place.files = packed.files.map(({ path }) => path);
  place.size = packed.size;
}

/** What is inside: everything that the manifest promises, and nothing that users do not need. */
async function contents({ files, size }) {
  const manifest = readJson("package.json");
  const present = new Set(files);
  const targets = Object.values(manifest.exports).flatMap((target) =>
    typeof target === "string" ? target : Object.values(target),
  );
  const sources = SOURCE_ROOTS.flatMap((root) => listFiles(root, ".ts"));
  const promised = [
    ...["README.md", "LICENSE", "CHANGELOG.md", "package.json"],
    ...[...targets, ...Object.values(manifest.bin), Object.values(manifest.imports).map((i) => i.default)]
      .flat()
      .map((path) => path.replace("./", "")),
    ...sources.flatMap((path) => [`dist/${path.replace(/\.ts$/, ".js")}`, `dist/${path.replace(/\.ts$/, ".d.ts")}`]),
  ];
  const missing = [...new Set(promised)].filter((path) => !present.has(path));
  const orphans = files.filter(
    (path) =>
      /^dist\/(?!vendor\/|cli\/|browser\/|edge\/).*\.js$/.test(path) &&
      !existsSync(at(path.replace(/^dist\/(.*)\.js$/, "$1.ts"))),
  );
  const personal = files.filter(
    (path) => existsSync(at(path)) && readFileSync(at(path)).includes(ROOT.replace(/[/\\]$/, "")),
  );
  return {
    problems: [
      ...missing.map((path) => `${path} is missing in the package.`),
      ...files.filter((path) => FOREIGN.test(path)).map((path) => `${path} does not belong into the package.`),
      ...orphans.map((path) => `${path} has no source.`),
      ...personal.map((path) => `${path} contains the path of this checkout.`),
    ],
    notes: [`${files.length} files, ${(size / 1e3).toFixed(0)} KB packed`],
  };
}

/** An empty project beside the package file, with nothing but the package in it. */
async function installed(place) {
  const folder = join(place.folder, "consumer");
  mkdirSync(folder);
  writeJson(join(folder, "package.json"), { private: true, type: "module" });
  writeJson(join(folder, "deno.json"), { nodeModulesDir: "manual", lock: false });
  const command = [...npmCommand(), "install", `file:${place.tarball}`, "--omit=dev", "--prefer-offline", ...QUIET];
  const { code, output } = await capture(command, { cwd: folder });
  if (code !== 0) return { problems: [`npm install ended with code ${code}:\n${output.trimEnd()}`] };
  place.consumer = folder;
  const parts = packagesBelow(join(folder, "node_modules")).map(([name, path]) => ({ name, bytes: bytesBelow(path) }));
  const total = bytesBelow(join(folder, "node_modules"));
  const largest = parts.sort((a, b) => b.bytes - a.bytes).slice(0, 3);
  const size = (bytes) => `${(bytes / MEGABYTE).toFixed(1)} MB`;
  const summary = `${size(total)} installed, of which ${largest.map((p) => `${p.name} ${size(p.bytes)}`).join(", ")}`;
  return total <= INSTALLED_LIMIT
    ? { problems: [], notes: [summary] }
    : { problems: [`${summary}; at most ${size(INSTALLED_LIMIT)} are allowed.`] };
}

/**
 * Uses every subpath that is for applications, and computes on the default device with plugins that were loaded like anyone
 * else's: first-party plugins have no side door. A hub that has no model is asked for one with the bundled client.
 */
const PROGRAM = `
import { createServer } from "node:http";
import { createRuntime, pullModel } from "fovea";
import { definePlugin } from "fovea/abi";
import * as core from "fovea/core";
import { pixelCut } from "fovea/media";
import * as nn from "fovea/nn";
import { clipPlugin } from "fovea/encoders/clip";
import { referencePlugin } from "fovea/reference";
import { wasmPlugin } from "fovea/wasm";

const runtime = await createRuntime({ plugins: [wasmPlugin, referencePlugin, clipPlugin] });
const square = await runtime.compile({
  tag: "package_check/square",
  symbols: { rows: { min: 1, max: 64 } },
  build: (b) => {
    const x = b.input("x", [b.dims.rows, 4]);
    b.output("y", b.mul(x, x));
  },
});
const { y } = await square.run({ x: { dtype: "f32", shape: [2, 4], data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) } });
await runtime.close();
const hub = createServer((_, response) => response.writeHead(404, { "x-error-code": "RepoNotFound" }).end());
await new Promise((resolve) => hub.listen(0, "127.0.0.1", resolve));
const endpoint = "http://127.0.0.1:" + hub.address().port;
const answer = await pullModel("hf:acme/absent", { to: "absent", hub: { endpoint } }).catch((error) => error.code);
hub.close();
const exported = [definePlugin, core, nn, pixelCut].every((value) => value !== undefined);
console.log(JSON.stringify({ host: runtime.host, device: runtime.device, y: [...y.data], exported, answer }));
`;

const SQUARES = [1, 4, 9, 16, 25, 36, 49, 64];

async function program({ consumer }, command) {
  if (consumer === undefined) return NOT_INSTALLED;
  const file = join(consumer, "program.mjs");
  writeFileSync(file, PROGRAM);
  const { code, stdout, output } = await capture([...command, file], { cwd: consumer });
  if (code !== 0) return { problems: [`the program ended with code ${code}:\n${output.trimEnd()}`] };
  const answer = JSON.parse(stdout);
  const right = answer.exported && JSON.stringify(answer.y) === JSON.stringify(SQUARES);
  if (!right) return { problems: [`the program computed ${stdout.trim()}, expected y = ${SQUARES}.`] };
  if (answer.answer === "hub.not_found") return { problems: [] };
  return { problems: [`the hub's client answered ${JSON.stringify(answer.answer)}, expected "hub.not_found".`] };
}

/**
 * The server's subpath without a model: the application refuses, describes itself and counts.
 */
const SERVER_PROGRAM = `
import { createRuntime } from "fovea";
const { createApp, serve } = await import("fovea/server");
const runtime = await createRuntime({ threads: 0 });
const app = createApp({ runtime, models: { absent: { source: "no/such/model" } } });
await app.ready.catch(() => {});
const server = await serve(app, { port: 0 });
const statuses = [];
for (const path of ["/healthz", "/readyz", "/metrics", "/openapi.json", "/none"]) {
  const response = await fetch(server.url + path);
  await response.text();
  statuses.push(response.status);
}
await server.close();
await runtime.close();
console.log(JSON.stringify({ statuses }));
`;

/** Bytes that each server's own modules and packages may take, bundled and minified by Bun. */
const SERVER_LIMIT = 700_000;

async function serverProgram({ consumer }) {
  if (consumer === undefined) return NOT_INSTALLED;
  writeFileSync(join(consumer, "server.mjs"), SERVER_PROGRAM);
  writeFileSync(join(consumer, "alone.mjs"), 'export * from "fovea";\n');
  writeFileSync(join(consumer, "served.mjs"), 'export * from "fovea/server";\n');
  const problems = [];
  const commands = [
    toolCommand("bun"),
    [...toolCommand("deno"), "run", "-A", "--unstable-no-legacy-abort"],
    [process.execPath],
  ];
  for (const command of commands) {
    const { code, stdout, output } = await capture([...command, "server.mjs"], { cwd: consumer });
    if (code !== 0) problems.push(`${command[0]} ended with code ${code}:\n${output.trimEnd()}`);
    else if (JSON.stringify(JSON.parse(stdout).statuses) !== "[200,503,200,200,404]") {
      problems.push(`${command[0]} answered ${stdout.trim()}, expected statuses 200, 503, 200, 200, 404.`);
    }
  }
  const bundle = async (file) => {
    const command = [...toolCommand("bun"), "build", file, "--target=node", "--minify", "--conditions=default"];
    const { code, stdout, output } = await capture([...command, "--external", "sharp"], { cwd: consumer });
    if (code !== 0) problems.push(`bundling ${file} ended with code ${code}:\n${output.trimEnd()}`);
    return stdout;
  };
  const served = await bundle("served.mjs");
  if (served.length > SERVER_LIMIT) {
    problems.push(`fovea/server bundles to ${served.length} bytes; at most ${SERVER_LIMIT} are allowed.`);
  }
  // An application that serves nothing must not pay for it.
  const eager = await eagerImports(consumer);
  const foreign = eager.filter((path) => /node_modules\/(hono|@hono|prom-client|ipaddr)/.test(path));
  if (foreign.length > 0) problems.push(`fovea alone loads ${foreign.join(", ")}.`);
  return { problems, notes: [`fovea/server bundles to ${(served.length / 1e3).toFixed(0)} KB`] };
}

/** Modules that Node loads for \`fovea\` alone. */
async function eagerImports(consumer) {
  const hook = 'export async function load(u, c, n) { process.stderr.write("LOAD " + u + "\\n"); return n(u, c); }';
  writeFileSync(join(consumer, "hook.mjs"), hook);
  writeFileSync(
    join(consumer, "register.mjs"),
    'import { register } from "node:module"; register("./hook.mjs", import.meta.url);',
  );
  const { output } = await capture([process.execPath, "--import", "./register.mjs", "alone.mjs"], { cwd: consumer });
  return [...output.matchAll(/^LOAD (.*)$/gm)].map(([, url]) => url);
}

const NOT_INSTALLED = { problems: ["the package could not be installed, see above."] };

/** Files of vectors with nothing installed but the package: BullMQ is not there. */
const BULK_PROGRAM = `
import { queueStatus, readVectors, writeVectors } from "fovea/bulk";
const head = { model: "m", modelType: "clip", modelDigest: "d", modality: "vision", output: "image_embeds", dtype: "f32" };
const rows = [{ path: "a.png", digest: "0", size: 1 }, { path: "b.png", digest: "1", size: 2 }];
await writeVectors("x.parquet", { head, rows, width: 2, vectors: Float32Array.of(1, 2, 3, 4) });
const read = await readVectors("x.parquet");
const refusal = await queueStatus({ queue: "redis://127.0.0.1:1" }).catch((error) => error.message);
console.log(JSON.stringify({ vectors: [...read.vectors], rows: read.rows.length, refusal }));
`;

/** Bytes that files of vectors, queues and search may take beside \`fovea\`, bundled and minified by Bun. */
const BULK_LIMIT = 500_000;

async function bulkProgram({ consumer }) {
  if (consumer === undefined) return NOT_INSTALLED;
  writeFileSync(join(consumer, "bulk.mjs"), BULK_PROGRAM);
  const problems = [];
  for (const command of [toolCommand("bun"), [...toolCommand("deno"), "run", "-A"], [process.execPath]]) {
    const { code, stdout, output } = await capture([...command, "bulk.mjs"], { cwd: consumer });
    if (code !== 0) {
      problems.push(`${command[0]} ended with code ${code}:\n${output.trimEnd()}`);
      continue;
    }
    const { vectors, rows, refusal } = JSON.parse(stdout);
    if (JSON.stringify(vectors) !== "[1,2,3,4]" || rows !== 2) problems.push(`${command[0]} read ${stdout.trim()}.`);
    if (!/Install them beside fovea with `npm install bullmq ioredis`/.test(refusal)) {
      problems.push(`${command[0]} said "${refusal}" of packages that are not there.`);
    }
  }
  const build = [...toolCommand("bun"), "build", "bulk.mjs", "--target=node", "--minify", "--conditions=default"];
  const { code, stdout, output } = await capture([...build, "--external", "sharp"], { cwd: consumer });
  if (code !== 0) problems.push(`bundling bulk.mjs ended with code ${code}:\n${output.trimEnd()}`);
  if (stdout.length > BULK_LIMIT) {
    problems.push(`fovea/bulk bundles to ${stdout.length} bytes; at most ${BULK_LIMIT} are allowed.`);
  }
  return { problems, notes: [`fovea/bulk bundles to ${(stdout.length / 1e3).toFixed(0)} KB`] };
}

const TYPED_PROGRAM = `
import { createRuntime, type Runtime } from "fovea";
import { type EmbedFilesReport, embedFiles, type QueueCounts, queueStatus } from "fovea/bulk";
const runtime: Runtime = await createRuntime({ device: "wasm", threads: 1 });
export const bytes: number = runtime.stats().device.bytesInUse;
export const report: EmbedFilesReport = await embedFiles(runtime, "./clip", ["photos/**"], { out: "x.parquet" });
export const counts: QueueCounts = await queueStatus({ queue: "redis://localhost" });
`;

/** The example of an encoder plugin, type-checked and run beside nothing but the package. */
async function encoderPlugin({ consumer }) {
  if (consumer === undefined) return NOT_INSTALLED;
  const folder = join(consumer, "encoder_plugin");
  mkdirSync(folder);
  for (const file of ["patch_mlp.ts", "run.ts"])
    copyFileSync(at(`examples/encoder-plugin/${file}`), join(folder, file));
  const types = await compileBeside(folder, ["run.ts"]);
  if (types.length > 0) return { problems: types };
  const { problems } = await onEveryRuntime(folder, (ending) => [`run.${ending}`]);
  return { problems };
}

/** Largest difference from a fixture's outputs, in their standard deviations, as in `fovea verify`. */
const TOLERANCE = 2e-5;

/** First-party encoders have no side door: moved out, on public subpaths alone, they give what the fixtures say. */
async function encoderCopies({ consumer }) {
  if (consumer === undefined) return NOT_INSTALLED;
  const folder = join(consumer, "encoder_copies");
  mkdirSync(join(folder, "fixtures"), { recursive: true });
  const unreachable = copyEncoders(folder);
  if (unreachable.length > 0) return { problems: unreachable };
  copyFixtures(join(folder, "fixtures"));
  writeFileSync(join(folder, "verify.mjs"), VERIFY_COPIES);
  const names = encoderPlugins();
  const types = await compileBeside(
    folder,
    names.map((name) => `${name}/plugin.ts`),
  );
  if (types.length > 0) return { problems: types };
  const { problems, outputs } = await onEveryRuntime(folder, (ending) => ["verify.mjs", ending, ...names]);
  for (const text of outputs) {
    const results = JSON.parse(text);
    for (const name of names) {
      if (!results.some(([plugin]) => plugin === `@elsewhere/${name}`)) problems.push(`no fixture verified ${name}.`);
    }
    for (const [plugin, modelType, worst] of results) {
      if (worst <= TOLERANCE) continue;
      problems.push(`${plugin} is ${worst} standard deviations off for ${modelType}, over ${TOLERANCE}.`);
    }
  }
  const verified = outputs.map((text) => JSON.parse(text).length);
  return {
    problems,
    notes: [`${names.length} encoders, ${verified.join(", ")} models verified on Bun, Deno and Node`],
  };
}

/** Type-checks files of a folder below the consumer, and writes JavaScript beside them for Node. */
async function compileBeside(folder, files) {
  writeJson(join(folder, "tsconfig.json"), {
    compilerOptions: {
      target: "es2023",
      lib: ["es2023", "esnext.disposable", "dom"],
      module: "nodenext",
      allowImportingTsExtensions: true,
      rewriteRelativeImportExtensions: true,
      strict: true,
      types: [],
    },
    files,
  });
  const { code, output } = await capture([...toolCommand("tsc"), "-p", folder, "--pretty", "false"], { cwd: folder });
  return code === 0 ? [] : [output.trimEnd()];
}

/** Runs a program in a folder on Bun, Deno and Node; `argumentsFor` is told the ending of files that the runtime takes. */
async function onEveryRuntime(folder, argumentsFor) {
  const commands = [
    [...toolCommand("bun"), ...argumentsFor("ts")],
    [...toolCommand("deno"), "run", "-A", "--no-check", ...argumentsFor("ts")],
    [...toolCommand("node"), ...argumentsFor("js")],
  ];
  const problems = [];
  const outputs = [];
  for (const command of commands) {
    const { code, stdout, output } = await capture(command, { cwd: folder, timeoutMs: 300_000 });
    if (code === 0) outputs.push(stdout);
    else problems.push(`${command.slice(1).join(" ")} ended with code ${code}:\n${output.trimEnd()}`);
  }
  return { problems, outputs };
}

/** Declarations are checked as a user's compiler does that does not skip those of libraries. */
async function declarations({ consumer }) {
  if (consumer === undefined) return NOT_INSTALLED;
  writeFileSync(join(consumer, "typed.ts"), TYPED_PROGRAM);
  writeJson(join(consumer, "tsconfig.json"), {
    compilerOptions: {
      target: "es2023",
      lib: ["es2023", "esnext.disposable", "dom"],
      module: "nodenext",
      strict: true,
      noEmit: true,
      types: [],
    },
    files: ["typed.ts"],
  });
  const { code, output } = await capture([...toolCommand("tsc"), "-p", consumer, "--pretty", "false"], {
    cwd: consumer,
  });
  return { problems: code === 0 ? [] : [output.trimEnd()] };
}

/** Every subpath with types, for programs whose only types of the platform are Node's: without those of the DOM. */
async function withoutDom({ consumer }) {
  if (consumer === undefined) return NOT_INSTALLED;
  const folder = join(consumer, "without_dom");
  mkdirSync(folder);
  const typed = Object.entries(readJson("package.json").exports).filter(([, { types }]) => types !== undefined);
  const lines = typed.map(([path], i) => `export * as part${i} from "fovea${path.slice(1)}";\n`);
  writeFileSync(join(folder, "all.ts"), lines.join(""));
  writeJson(join(folder, "tsconfig.json"), {
    compilerOptions: {
      target: "es2023",
      lib: ["es2023", "esnext.disposable"],
      module: "nodenext",
      strict: true,
      noEmit: true,
      types: ["node"],
      typeRoots: [at("node_modules/@types")],
    },
    files: ["all.ts"],
  });
  const { code, output } = await capture([...toolCommand("tsc"), "-p", folder, "--pretty", "false"], { cwd: folder });
  return { problems: code === 0 ? [] : [output.trimEnd()] };
}

/** As users run it beside what they installed; `installed` has shown that the packed file installs. */
async function npx({ consumer }) {
  if (consumer === undefined) return NOT_INSTALLED;
  const env = plainEnvironment({ npm_config_loglevel: "error" });
  return doctor(
    await capture([...npmCommand("npx"), "--no", "fovea", "doctor", "--json"], { cwd: consumer, env }),
    "node",
  );
}

/** An encoder whose graph reads a value on its seventh line. */
const BROKEN_PLUGIN = `import { definePlugin } from "fovea";
const component = {
  tag: "broken/vision",
  symbols: { batch: { min: 1, max: 4 } },
  instances: [""],
  build: (b) => {
    b.output("y", b.unary("gelu", b.input("x", [b.dims.batch, 4]).data));
  },
};
const tower = {
  ...{ modality: "vision", inputs: ["x"], outputs: ["y"], components: [component], exampleSizes: [] },
  ...{ prepare: (inputs) => inputs, example: () => ({}) },
  plan: () => ({ key: "", calls: [], constants: {}, results: {} }),
};
const open = () => ({ towers: [tower], prefixes: [""], processors: () => ({}) });
const encoders = [{ name: "broken", modelTypes: ["broken"], files: [], open }];
export default definePlugin({ name: "broken", version: "1.0.0", abi: 1, encoders });
`;

async function authorsLine({ consumer }) {
  if (consumer === undefined) return NOT_INSTALLED;
  writeFileSync(join(consumer, "broken.mjs"), BROKEN_PLUGIN);
  const command = [process.execPath, "node_modules/fovea/dist/cli/main.js", "explain", "--breaks", "./broken.mjs"];
  const { code, output } = await capture(command, { cwd: consumer, env: plainEnvironment() });
  const isTold = code === 1 && output.includes('"broken/vision" breaks its trace at broken.mjs:7: ');
  return { problems: isTold ? [] : [`explain --breaks ended with code ${code}, expected broken.mjs:7:\n${output}`] };
}

async function bunx({ tarball, folder }) {
  const cwd = emptyFolder(folder, "bunx");
  // bunx installs into the temporary folder; dependencies are kept for the next time, packages by path never match again.
  const env = plainEnvironment({
    BUN_INSTALL_CACHE_DIR: emptyFolder(folder, "bun_cache"),
    BUN_TMPDIR: cwd,
    TMPDIR: cwd,
  });
  const run = await capture([...toolCommand("bun"), "x", "--bun", "-p", tarball, "fovea", "doctor", "--json"], {
    cwd,
    env,
  });
  return doctor(run, "bun");
}

/** `doctor --json` prints one JSON document and nothing else on stdout. */
function doctor({ code, stdout, output }, runtime) {
  if (code !== 0) return { problems: [`fovea doctor ended with code ${code}:\n${output.trimEnd()}`] };
  try {
    const answer = JSON.parse(stdout);
    if (answer.runtime === runtime) return { problems: [] };
    return { problems: [`fovea doctor says runtime "${answer.runtime}", expected "${runtime}".`] };
  } catch {
    return { problems: [`fovea doctor --json printed something else than JSON:\n${stdout.trimEnd()}`] };
  }
}

function emptyFolder(parent, name) {
  const path = join(parent, name);
  mkdirSync(path, { recursive: true });
  return path;
}

function writeJson(path, value) {
  writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);
}

/** `[name, path]` of the packages directly in a node_modules folder. */
function packagesBelow(modules) {
  return readdirSync(modules)
    .filter((name) => !name.startsWith("."))
    .flatMap((name) =>
      name.startsWith("@") ? readdirSync(join(modules, name)).map((inner) => `${name}/${inner}`) : [name],
    )
    .map((name) => [name, join(modules, name)]);
}

function bytesBelow(path) {
  const found = lstatSync(path);
  if (!found.isDirectory()) return found.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0);
}

if (isMain(import.meta.url)) {
  await setupOrExit();
  for (const { name, run, notes } of packageChecks()) {
    const problems = await run().catch((error) => [error.stack ?? String(error)]);
    say(`${problems.length === 0 ? "ok    " : "FAILED"}  ${name}`);
    for (const line of [...problems, ...notes()]) say(`        ${line}`);
    if (problems.length > 0) process.exitCode = 1;
  }
}
