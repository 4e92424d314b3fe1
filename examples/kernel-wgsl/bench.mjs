/**
 * The built-in kernels and, beside them, the plugin, in turns A B A B: microseconds of one addition and norm of the 32 that a call
 * computes one after another, from whole calls and from the device's part of them by its own clock, on this machine's adapter.
 */
import { createRuntime, loadPlugin } from "../../mod.ts";

const WIDTH = 768;
const LAYERS = 32;
const ROUNDS = 4;
const RUNS = 9;
const FOLDER = new URL(".", import.meta.url).pathname.replace(/\/$/, "");

async function open(plugins) {
  const runtime = await createRuntime({ device: "webgpu", ...(plugins === undefined ? {} : { plugins }) });
  const component = await runtime.compile({
    tag: "example/add_layer_norm",
    symbols: { rows: { min: 1, max: 4096 } },
    build: (b) => {
      const of = (name) => b.input(name, [b.dims.rows, WIDTH]);
      const [residual, scale, bias] = [of("residual"), b.input("scale", [WIDTH]), b.input("bias", [WIDTH])];
      let y = of("x");
      for (let layer = 0; layer < LAYERS; layer++) y = b.layerNorm(b.add(y, residual), scale, bias, 1e-5);
      b.output("y", y);
    },
  });
  return { runtime, component, kernels: [...component.explain().matchAll(/^ {6}(\S+): /gm)].map((m) => m[1]) };
}

const { webgpuPlugin } = await import("../../kernels/webgpu/plugin.ts");
const forms = { "built in": await open([webgpuPlugin]), plugin: await open([webgpuPlugin, await loadPlugin(FOLDER)]) };
for (const [name, { kernels }] of Object.entries(forms))
  console.log(`${name}: the cover takes ${[...new Set(kernels)].join(", ")}`);

const tensor = (...shape) => {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7919) % 1013) / 500 - 1);
  return { dtype: "f32", shape, data };
};
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

async function callTime({ component }, inputs) {
  const begin = performance.now();
  await component.run(inputs);
  return ((performance.now() - begin) * 1000) / LAYERS;
}

async function deviceTime({ component }, inputs) {
  const spans = [];
  await component.run(inputs, { trace: { span: (span) => spans.push(span) } });
  const ms = spans.filter(({ kind }) => kind === "device").reduce((sum, { begin, end }) => sum + end - begin, 0);
  return (ms * 1000) / LAYERS;
}

async function medianOf(time, form, inputs) {
  const times = [];
  for (let run = 0; run < RUNS; run++) times.push(await time(form, inputs));
  return median(times);
}

for (const rows of [64, 577, 2048]) {
  const inputs = { x: tensor(rows, WIDTH), residual: tensor(rows, WIDTH), scale: tensor(WIDTH), bias: tensor(WIDTH) };
  for (const [part, time] of [
    ["calls", callTime],
    ["device", deviceTime],
  ]) {
    const turns = [];
    for (let round = 0; round < ROUNDS; round++) {
      const [a, b] = [await medianOf(time, forms["built in"], inputs), await medianOf(time, forms.plugin, inputs)];
      turns.push(`${a.toFixed(1)} ${b.toFixed(1)} (${(b / a).toFixed(2)})`);
    }
    console.log(`${rows} rows, ${part}, built in and plugin in turns, us: ${turns.join(", ")}`);
  }
}
for (const { runtime } of Object.values(forms)) await runtime.close();
