/** The built-in kernels and, beside them, the plugin, in turns A B A B: microseconds of a whole call,
 * inputs and result travelling, on this machine's adapter. */
import { createRuntime, loadPlugin } from "../../mod.ts";

const WIDTH = 768;
const ROUNDS = 4;
const RUNS = 15;
const FOLDER = new URL(".", import.meta.url).pathname.replace(/\/$/, "");

async function open(plugins) {
  const runtime = await createRuntime({ device: "webgpu", ...(plugins === undefined ? {} : { plugins }) });
  const component = await runtime.compile({
    tag: "example/add_layer_norm",
    symbols: { rows: { min: 1, max: 4096 } },
    build: (b) => {
      const of = (name) => b.input(name, [b.dims.rows, WIDTH]);
      const sum = b.add(of("x"), of("residual"));
      b.output("y", b.layerNorm(sum, b.input("scale", [WIDTH]), b.input("bias", [WIDTH]), 1e-5));
    },
  });
  return { runtime, component, kernels: [...component.explain().matchAll(/^ {6}(\S+): /gm)].map((m) => m[1]) };
}

const { webgpuPlugin } = await import("../../kernels/webgpu/plugin.ts");
const forms = { "built in": await open([webgpuPlugin]), plugin: await open([webgpuPlugin, await loadPlugin(FOLDER)]) };
for (const [name, { kernels }] of Object.entries(forms)) console.log(`${name}: the cover takes ${kernels.join(", ")}`);

const tensor = (...shape) => {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7919) % 1013) / 500 - 1);
  return { dtype: "f32", shape, data };
};
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

async function timeOf({ component }, inputs) {
  const times = [];
  for (let run = 0; run < RUNS; run++) {
    const begin = performance.now();
    await component.run(inputs);
    times.push((performance.now() - begin) * 1000);
  }
  return median(times);
}

for (const rows of [64, 577, 2048]) {
  const inputs = { x: tensor(rows, WIDTH), residual: tensor(rows, WIDTH), scale: tensor(WIDTH), bias: tensor(WIDTH) };
  const turns = [];
  for (let round = 0; round < ROUNDS; round++) {
    const [a, b] = [await timeOf(forms["built in"], inputs), await timeOf(forms.plugin, inputs)];
    turns.push(`${a.toFixed(0)} ${b.toFixed(0)} (${(b / a).toFixed(2)})`);
  }
  console.log(`${rows} rows, built in and plugin in turns, us: ${turns.join(", ")}`);
}
for (const { runtime } of Object.values(forms)) await runtime.close();
