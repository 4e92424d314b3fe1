/**
 * The built-in kernels and, beside them, the plugin, in turns A B A B: microseconds of one norm and turn of the 32 that a call
 * computes one after another, from whole calls and from the device's part of them by its own clock, on this machine's adapter.
 */
import { createRuntime, loadPlugin } from "../../mod.ts";

const [HEADS, WIDTH] = [12, 64];
const LAYERS = 32;
const ROUNDS = 4;
const RUNS = 9;
const FOLDER = new URL(".", import.meta.url).pathname.replace(/\/$/, "");

async function open(plugins) {
  const runtime = await createRuntime({ device: "webgpu", ...(plugins === undefined ? {} : { plugins }) });
  const component = await runtime.compile({
    tag: "example/norm_rotary",
    symbols: { tokens: { min: 1, max: 4096 } },
    build: (b) => {
      const { tokens } = b.dims;
      const scale = b.input("scale", [WIDTH]);
      const [cosines, sines] = ["cosines", "sines"].map((name) => b.input(name, [tokens, WIDTH / 2]));
      let y = b.input("x", [1, tokens, HEADS, WIDTH]);
      for (let layer = 0; layer < LAYERS; layer++) y = b.rotary(b.rmsNorm(y, scale, 1e-6), cosines, sines);
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

for (const tokens of [64, 577, 2048]) {
  const tables = { cosines: tensor(tokens, WIDTH / 2), sines: tensor(tokens, WIDTH / 2) };
  const inputs = { x: tensor(1, tokens, HEADS, WIDTH), scale: tensor(WIDTH), ...tables };
  for (const [part, time] of [
    ["calls", callTime],
    ["device", deviceTime],
  ]) {
    const turns = [];
    for (let round = 0; round < ROUNDS; round++) {
      const [a, b] = [await medianOf(time, forms["built in"], inputs), await medianOf(time, forms.plugin, inputs)];
      turns.push(`${a.toFixed(1)} ${b.toFixed(1)} (${(b / a).toFixed(2)})`);
    }
    console.log(`${tokens} tokens, ${part}, built in and plugin in turns, us: ${turns.join(", ")}`);
  }
}
for (const { runtime } of Object.values(forms)) await runtime.close();
