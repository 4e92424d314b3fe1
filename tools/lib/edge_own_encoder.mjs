// An encoder of someone else, made by `fovea plugin new encoder-ts` and built by tsc, frozen, and asked by requests in workerd and
// by programs on Deno, Bun and Node: the bits that fovea itself computes with it.
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capture, toolCommand } from "./process.mjs";
import { at } from "./project.mjs";
import { dryRun, startWorkerd } from "./workerd.mjs";

const CONFIG = { model_type: "tiny", size: 12, width: 8 };
const SHAPE = [2, CONFIG.size];
const DATA = Array.from({ length: SHAPE[0] * SHAPE[1] }, (_, i) => Math.fround(Math.sin(i)));
const WRONG = [SHAPE[0], SHAPE[1] - 1];

/** The same by a program on a runtime. */
const PROGRAM = `
const { createEncoder } = await import(process.argv[2]);
const encoder = await createEncoder();
const input = (shape) => ({ dtype: "f32", shape, data: Float32Array.from(${JSON.stringify(DATA)}).subarray(0, shape[0] * shape[1]) });
const { embeds } = await encoder.encode({ pixel_values: input(${JSON.stringify(SHAPE)}) });
const refused = await encoder.encode({ pixel_values: input(${JSON.stringify(WRONG)}) }).catch((error) => error.code);
console.log(JSON.stringify({ embedding: [...embeds.data], refused }));
`;

async function run(command, options) {
  const { code, stdout, output } = await capture(command, options);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with code ${code}:\n${output.trimEnd()}`);
  return stdout;
}

/** The project, its compiled module and a model's configuration below `folder`. */
async function makeEncoder(folder) {
  rmSync(folder, { recursive: true, force: true });
  const project = join(folder, "made-encoder");
  mkdirSync(folder, { recursive: true });
  await run([process.execPath, at("dist/cli/main.js"), "plugin", "new", "encoder-ts", project]);
  mkdirSync(join(project, "node_modules"));
  symlinkSync(at("."), join(project, "node_modules", "fovea"));
  symlinkSync(at("node_modules/@types"), join(project, "node_modules", "@types"));
  await run([...toolCommand("tsc")], { cwd: project });
  mkdirSync(join(folder, "model"));
  writeFileSync(join(folder, "model/config.json"), JSON.stringify(CONFIG));
  return project;
}

/** What the runtime itself finds for the same bits. */
async function unfrozen(folder, project) {
  const { createRuntime, loadPlugin } = await import(at("dist/mod.js"));
  const { wasmPlugin } = await import(at("dist/kernels/wasm/plugin.js"));
  const plugins = [wasmPlugin, await loadPlugin(project)];
  const runtime = await createRuntime({ target: "wasm-simd128", threads: 0, cache: false, plugins });
  const encoder = await runtime.load(join(folder, "model"), { loadFormat: "dummy" });
  const input = { dtype: "f32", shape: SHAPE, data: Float32Array.from(DATA) };
  const { embeds } = await encoder.encode({ pixel_values: input });
  await runtime.close();
  return { embedding: [...embeds.data], refused: "invalid_input" };
}

async function onWorkerd(frozen, out) {
  await dryRun(frozen, out);
  const server = await startWorkerd(out, join(frozen, "assets"));
  const ask = async (shape) => {
    const body = JSON.stringify({ pixel_values: { shape, data: DATA.slice(0, shape[0] * shape[1]) } });
    const init = { method: "POST", body, headers: { "content-type": "application/json" } };
    return (await fetch(new URL("/embed", server.url), init)).json();
  };
  try {
    return { embedding: (await ask(SHAPE)).embedding, refused: (await ask(WRONG)).code };
  } finally {
    await server.stop();
  }
}

/** @param folder where all of it is made */
export async function checkOwnEncoder(folder) {
  const project = await makeEncoder(folder);
  const frozen = join(folder, "frozen");
  const freeze = ["freeze", join(folder, "model"), "--plugin", project, "--load-format", "dummy", "--formats", "png"];
  await run([process.execPath, at("dist/cli/main.js"), ...freeze, "--no-cache", "--out", frozen]);
  const expected = JSON.stringify(await unfrozen(folder, project));
  const problems = [];
  const judge = (where, found) => {
    if (JSON.stringify(found) !== expected)
      problems.push(`an encoder of someone else on ${where}: ${JSON.stringify(found)} and not ${expected}.`);
  };
  if (readFileSync(join(frozen, "lib/plugin/plugin.js"), "utf8").includes('"fovea/'))
    problems.push("the encoder's module still imports fovea by its name.");
  judge("workerd", await onWorkerd(frozen, join(folder, "out")));
  const program = join(folder, "program.mjs");
  writeFileSync(program, PROGRAM);
  for (const runtime of ["node", "deno", "bun"]) {
    const command = [...toolCommand(runtime), ...(runtime === "deno" ? ["run", "-A", "--no-check"] : []), program];
    judge(runtime, JSON.parse(await run([...command, join(frozen, `hosts/${runtime}.js`)], { cwd: folder })));
  }
  return problems;
}
