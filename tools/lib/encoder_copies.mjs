// Copies of the first-party encoders as a stranger would have them: outside the repository, on the package's public subpaths
// alone, under names of their own.
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { at, listFiles, readText } from "./project.mjs";

const ROOM = /(from|import\() ?"\.\.\/\.\.\/runtime\/(abi|core|media|nn)\/[\w/]+\.ts"/g;
const BEYOND = /"(\.\.\/[^"]*)"/g;

/** Names of the encoder plugins. */
export const encoderPlugins = () =>
  readdirSync(at("plugins"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);

/** Copies every plugin below `folder`; returns a sentence for each import that no public subpath serves. */
export function copyEncoders(folder) {
  const problems = [];
  for (const name of encoderPlugins()) {
    mkdirSync(join(folder, name));
    for (const file of listFiles(`plugins/${name}`, ".ts")) {
      const source = readText(file)
        .replace(ROOM, (_, word, room) => `${word}${word === "from" ? " " : ""}"fovea/${room}"`)
        .replaceAll('"@fovea/', '"@elsewhere/');
      for (const [, path] of source.matchAll(BEYOND)) {
        problems.push(`${file} imports ${path}, which an encoder outside of the repository cannot reach.`);
      }
      writeFileSync(join(folder, file.replace("plugins/", "")), source);
    }
  }
  return problems;
}

const isCase = (file) => /^case-.*\.safetensors$/.test(file);

/** Copies the first fixture folder of every `model_type` and that of its vision tower. */
export function copyFixtures(folder) {
  const known = new Set();
  for (const { name } of readdirSync(at("test/fixtures"), { withFileTypes: true })) {
    const from = at(`test/fixtures/${name}`);
    const files = name.includes(".") ? [] : readdirSync(from);
    if (!files.includes("config.json") || !files.some(isCase)) continue;
    const { model_type, vision_config } = JSON.parse(readFileSync(join(from, "config.json"), "utf8"));
    const type = `${model_type}/${vision_config?.model_type}`;
    if (known.has(type)) continue;
    known.add(type);
    const isWanted = (path) => statSync(path).isDirectory() || /\.(json|safetensors)$/.test(path);
    cpSync(from, join(folder, name), { recursive: true, filter: isWanted });
  }
}

/**
 * Run beside the copies with the ending of their files: loads each one alone, beside nothing but the WebAssembly device, and
 * prints `[plugin, model_type, worst]` of every fixture, `worst` in standard deviations of the reference.
 */
export const VERIFY_COPIES = `
import { readdirSync, readFileSync } from "node:fs";
import { createRuntime } from "fovea";
import { decodeToF32, viewAs } from "fovea/core";
import { wasmPlugin } from "fovea/wasm";

const [ending, ...names] = process.argv.slice(2);
const TYPES = { F32: "f32", F16: "f16", BF16: "bf16", I64: "i64", I32: "i32" };

function tensorsOf(path) {
  const file = new Uint8Array(readFileSync(path));
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  delete header.__metadata__;
  return Object.entries(header).map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
    const bytes = file.slice(8 + length + from, 8 + length + to);
    if (dtype.startsWith("I")) {
      return [name, { dtype: "i32", shape, data: Int32Array.from(viewAs(TYPES[dtype], bytes), Number) }];
    }
    const data = new Float32Array(shape.reduce((a, d) => a * d, 1));
    decodeToF32(TYPES[dtype], bytes, data);
    return [name, { dtype: "f32", shape, data }];
  });
}

const named = (tensors, prefix) =>
  Object.fromEntries(tensors.flatMap(([name, t]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), t]] : [])));

/** Worst difference in standard deviations; rows of hidden tokens hold whatever the model made of them. */
function worstOf(found, expected, mask) {
  const { data, shape } = expected;
  if (found.shape.join() !== shape.join()) return Number.POSITIVE_INFINITY;
  const mean = data.reduce((a, v) => a + v, 0) / data.length;
  const deviation = Math.sqrt(data.reduce((a, v) => a + (v - mean) ** 2, 0) / data.length);
  const row = mask !== undefined && shape.length === 3 ? shape[2] : undefined;
  const counts = (i) => row === undefined || mask.data[Math.floor(i / row)] !== 0;
  return data.reduce((worst, v, i) => (counts(i) ? Math.max(worst, Math.abs(v - found.data[i])) : worst), 0) / deviation;
}

const results = [];
const fixtures = readdirSync("fixtures").map((folder) => {
  const { model_type, vision_config } = JSON.parse(readFileSync(\`fixtures/\${folder}/config.json\`, "utf8"));
  return { folder: \`fixtures/\${folder}\`, type: model_type, both: \`\${model_type}/\${vision_config?.model_type}\` };
});
const plugins = [];
for (const name of names) {
  const module = await import(\`./\${name}/plugin.\${ending}\`);
  plugins.push(Object.values(module).find((value) => Array.isArray(value?.encoders)));
}
const typesOf = (plugin) => plugin.encoders.flatMap((e) => e.modelTypes);
const all = plugins.flatMap(typesOf);
for (const plugin of plugins) {
  const own = fixtures
    .map(({ folder, type, both }) => ({ folder, modelType: all.includes(both) ? both : type }))
    .filter(({ modelType }) => typesOf(plugin).includes(modelType));
  // One range for each component: fixtures need no more.
  const compile = { base: { ranges: {} } };
  // What one runtime compiled the next one takes.
  const pinned = { target: "wasm-simd128", cache: "compiled" };
  const runtime = await createRuntime({ plugins: [wasmPlugin, plugin], threads: 0, compile, ...pinned });
  for (const { folder, modelType } of own) {
    const encoder = await runtime.load(folder);
    let worst = 0;
    for (const file of readdirSync(folder).filter((f) => f.startsWith("case-"))) {
      const tensors = tensorsOf(\`\${folder}/\${file}\`);
      const [inputs, expected] = [named(tensors, "input."), named(tensors, "output.")];
      const found = await encoder.encode(inputs, { outputs: Object.keys(expected) });
      for (const [key, t] of Object.entries(expected)) {
        worst = Math.max(worst, worstOf(found[key], t, inputs.attention_mask));
      }
    }
    results.push([plugin.name, modelType, worst]);
  }
  await runtime.close();
}
console.log(JSON.stringify(results));
`;
